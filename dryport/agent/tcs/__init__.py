"""The agent's side of TCS: metrics and health."""
