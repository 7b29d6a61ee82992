"""The agent's side of ACS: registration and the control websocket."""
