"""What people look at of a market made of agents: its tape, its agents, its stylised facts."""
