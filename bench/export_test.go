package bench

// What tests of the arithmetic need.
var (
	Median     = median
	Percentile = percentile
)

// NewReport makes a report of the rounds of scenarios: a list for each broker.
func NewReport(brokers []string, scenarios map[string][][]Result, order ...string) *Report {
	r := &Report{Brokers: brokers, Rounds: 1}
	for _, name := range order {
		r.add(&Scenario{Name: name, About: "about " + name}, scenarios[name])
	}
	return r
}
