package noentrypoints

# The kinds are the constraint's match: here no object of them is right.
violation contains {"msg": sprintf("%s: routes are declared under access.routes", [input.review.kind.kind])}
