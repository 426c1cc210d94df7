"""The declaration's models, how it is read, and where its values come from."""
