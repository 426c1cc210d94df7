"""The warehouse: serves exactly the published version, loaded in one transaction with its ledger row."""
