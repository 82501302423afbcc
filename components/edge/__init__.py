"""The way in: public load balancer, firewall, API gateway and names."""
