"""Markets made of agents: scenarios, and what came of them."""
