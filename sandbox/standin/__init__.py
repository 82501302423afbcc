"""Stand-ins for the provider plugins: local gRPC servers on the SDK's own `ResourceProvider` protocol.

They touch no cloud, no cluster and no network, and they say so in the output. What they promise: a resource they accept
has only properties the installed SDK knows, every input the SDK requires, and values of the SDK's types. What they do
not know: rules that only the real provider or the service behind it checks (ranges, quotas, what exists).
"""
