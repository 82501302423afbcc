# METADATA
# title: Many questions in one evaluation
# description: |
#   input.questions is {known: [{workload, risk}], asked: [{data, input, now_ns}]}, `data` an index of `known`.
package sandbox.opa

answers[i] := answer if {
	some i, asked in input.questions.asked
	known := input.questions.known[asked.data]
	answer := data.zerotrust.authz.decision with input as asked.input
		with data.workload as known.workload
		with data.risk as known.risk
		with data.zerotrust.conditions.now_ns as asked.now_ns
}
