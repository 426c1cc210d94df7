#!/bin/sh
# Looks for the programs that the tests need beside Python, and installs Debian's packages where run as root.
set -eu
missing=
need() { # need PACKAGE TEST-COMMAND
  sh -c "$2" >/dev/null 2>&1 || missing="$missing $1"
}
need postgresql 'ls /usr/lib/postgresql/*/bin/initdb || command -v initdb'
need openjdk-17-jre-headless 'java -version 2>&1 | grep -Eq "version \"(17|21)"'
need chromium 'command -v chromium || command -v chromium-browser || command -v google-chrome'
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "system: installing Debian's$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086 - one word per package
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "system: the tests need these programs, and this user cannot install them:$missing" >&2
  echo "system: on Debian, as root: apt-get install$missing" >&2
  exit 2
fi
