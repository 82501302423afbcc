# METADATA
# title: Path patterns of the access graph
# description: |
#   An exact path, `{name}` for one segment that is not empty, a closing `/*` for whatever follows the slash.
#   The proxy forwards the path it has normalised (decoded once, slashes merged, dot segments resolved). What is still
#   ambiguous afterwards is refused: a percent sign that is left is an encoding the service may undo once more; `;` starts
#   parameters that servlet containers cut off, which turns `/a/..;/b` into `/b`; an empty segment, a backslash or a dot
#   segment means that the normalisation was not at work. So only characters that mean themselves may pass.
package zerotrust.paths

plain := `^(/[A-Za-z0-9._~!$&'()*+,=:@-]*)+$`

# `target` is the request target as forwarded, with its query.
matches(pattern, target) if {
	path := split(target, "?")[0]
	unambiguous(path)
	fits(split(pattern, "/"), split(path, "/"))
}

unambiguous(path) if {
	regex.match(plain, path)
	not contains(path, "//")
	dots := [segment | some segment in split(path, "/"); segment in [".", ".."]]
	count(dots) == 0
}

fits(wanted, given) if {
	last := count(wanted) - 1
	wanted[last] == "*"
	count(given) >= count(wanted)
	every i, segment in array.slice(wanted, 0, last) {
		fits_segment(segment, given[i])
	}
}

fits(wanted, given) if {
	count(given) == count(wanted)
	every i, segment in wanted {
		fits_segment(segment, given[i])
	}
}

fits_segment(wanted, given) if {
	wanted != "*"
	wanted == given
}

fits_segment(wanted, given) if {
	startswith(wanted, "{")
	given != ""
}
