"""The double-entry ledger, and the entry that each event makes; nobody else keeps balances."""
