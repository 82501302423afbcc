"""One pipeline of logs and traces: agents on the nodes, a gateway, and what both take out before anything is kept."""
