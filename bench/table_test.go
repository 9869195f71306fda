package bench_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"omnibus/bench"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// found are made-up results of every kind.
func found(brokers ...string) *bench.Report {
	all := map[string][][]bench.Result{
		"one-to-one": {
			{
				traffic(84_210, 9.314, 0), traffic(80_000, 10.5, 0), traffic(90_000, 9, 3),
			},
			{traffic(881_000, 1.27, 0)},
		},
		"far": {
			{{Traffic: &bench.Traffic{Rate: 1200.7, OwnCPU: 2, Expected: 5000}, Notes: []string{"the memory is not known: it is far"}}},
			{{Error: "connecting: nobody listens"}},
		},
		"round-trip": {
			{{
				Traffic:   &bench.Traffic{Rate: 1000, BrokerCPU: 40, OwnCPU: 90},
				RoundTrip: &bench.RoundTrip{P50: 52.4, P90: 70, P99: 92, P999: 201, Max: 1234.5, Late: 0.6},
			}},
			{{
				Traffic:   &bench.Traffic{Rate: 1000, BrokerCPU: 20, OwnCPU: 90},
				RoundTrip: &bench.RoundTrip{P50: 26.2, P90: 35, P99: 46, P999: 100, Max: 617, Late: 0.6},
			}},
		},
		"idle": {
			{{Growth: &bench.Growth{Items: 10_000, Bytes: 17_000_000, Each: 1700}}},
			{
				{Growth: &bench.Growth{Items: 10_000, Bytes: 5_000_000, Each: 500}},
				{Growth: &bench.Growth{Items: 10_000, Bytes: 100_000, Each: 10}}, // it kept what it had
			},
		},
		"never-reads": {
			{{Stuck: &bench.Stuck{Healthy: 90_000, Kept: 0.14, Bytes: 178_000_000}, Traffic: &bench.Traffic{Rate: 12_600, Lost: -2}}},
			{{Error: "it broke"}, {Stuck: &bench.Stuck{Healthy: 90_000, Kept: 0.998, Bytes: 10}, Traffic: &bench.Traffic{Rate: 89_820}}},
		},
	}
	for name := range all {
		all[name] = all[name][:len(brokers)]
	}
	return bench.NewReport(brokers, all, "one-to-one", "far", "round-trip", "idle", "never-reads")
}

func traffic(rate, cpu float64, lost int64) bench.Result {
	return bench.Result{
		Traffic: &bench.Traffic{Rate: rate, BrokerCPU: cpu, OwnCPU: 1.2, Expected: 200_000, Lost: lost},
		Memory:  &bench.Memory{Resident: 8_900_000, Peak: 9_125_000},
	}
}

func TestTables(t *testing.T) {
	for name, brokers := range map[string][]string{
		"alone.txt": {"mosquitto"},
		"pair.txt":  {"mosquitto", "omnibus"},
	} {
		var out strings.Builder
		if err := found(brokers...).WriteText(&out); err != nil {
			t.Fatal(err)
		}
		golden := "testdata/" + name
		if *update {
			if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s, without -update:\n%s\nwant:\n%s", golden, out.String(), want)
		}
	}
}

func TestMediansLossesAndRatios(t *testing.T) {
	r := found("mosquitto", "omnibus")
	one := r.Scenarios[0].Brokers
	if got := one[0].Median.Traffic; got.Rate != 84_210 || got.BrokerCPU != 9.314 || got.Lost != 3 || got.Expected != 600_000 {
		t.Errorf("the medians are %+v", got)
	}
	if got := one[1].Ratios; got.Rate != 881_000.0/84_210 || got.CPU != 1.27/9.314 {
		t.Errorf("the ratios are %+v", got)
	}
	if got := r.Scenarios[3].Brokers[1].Median.Growth; got.Each != 500 {
		t.Errorf("the growth is %+v, want that of the round in which it was most", got)
	}
	if got := r.Scenarios[4].Brokers[1].Median; got.Error != "" || got.Stuck.Kept != 0.998 || len(got.Notes) != 1 {
		t.Errorf("of two rounds, one of which failed, the medians are %+v", got)
	}
	if !r.Failed() || found("mosquitto").Failed() {
		t.Error("it is not told whether anything failed")
	}
}

func TestJSONHasEachRound(t *testing.T) {
	data, err := json.Marshal(found("mosquitto", "omnibus"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Brokers   []string
		Scenarios []struct {
			Name    string
			Brokers []struct {
				Median struct {
					Traffic map[string]float64
				}
				Ratios map[string]float64
				Rounds []json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	first := got.Scenarios[0].Brokers[0]
	if len(first.Rounds) != 3 || first.Median.Traffic["deliveries_per_second"] != 84_210 || first.Median.Traffic["broker_cpu_us"] != 9.314 {
		t.Errorf("the first is %+v", first)
	}
	if second := got.Scenarios[0].Brokers[1]; second.Ratios["rate"] < 10 || second.Ratios["broker_cpu"] > 0.14 {
		t.Errorf("the ratios are %v", second.Ratios)
	}
}

// full is a writer that fails.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestOutputThatFails(t *testing.T) {
	if err := found("mosquitto").WriteText(full{}); err == nil {
		t.Error("the report was written to a full disk")
	}
}
