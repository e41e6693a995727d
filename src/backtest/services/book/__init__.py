"""The limit order book: levels, matching, auctions and depth; no accounts, no money."""
