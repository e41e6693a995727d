"""The venue of order books: agents trade with each other."""
