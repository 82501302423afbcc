package nosharedprocesses

import data.lib.pods

# Its proxy, its decision point and its agent hold keys that the application is not to read through /proc.
violation contains {"msg": "shareProcessNamespace is true"} if object.get(pods.spec, "shareProcessNamespace", false) == true
