"""One tenant in one region: everything the access graph says of it, compiled into every layer and registered layer by layer."""
