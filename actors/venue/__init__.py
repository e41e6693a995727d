"""What both venues share: commands in, decisions, entries, news out. How orders meet is theirs."""
