// load puts requests on one address for a while and prints, as one line of JSON, how many came back a second and how long
// they took. Loop, clock and percentiles are fortio's library's; its own program has far more in it than this needs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"fortio.org/fortio/fhttp"
	"fortio.org/fortio/periodic"
	"fortio.org/log"
)

// said is what one run found. Times are seconds, of all requests.
type said struct {
	Requests  int64              `json:"requests"`
	Failed    int64              `json:"failed"`
	PerSecond float64            `json:"per_second"`
	Codes     map[int]int64      `json:"codes"` // -1: no answer
	Times     map[string]float64 `json:"times"` // by percentile
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run() error {
	rate := flag.Float64("rate", -1, "requests a second; as many as are answered when not positive")
	connections := flag.Int("connections", 1, "each has one request under way at a time")
	length := flag.Duration("for", time.Second, "how long")
	body := flag.String("body", "", "what is sent, with POST; GET without")
	flag.Parse()
	if flag.NArg() != 1 {
		return fmt.Errorf("one URL, not %d", flag.NArg())
	}
	if *rate <= 0 {
		*rate = -1 // fortio takes 0 for its own default
	}
	log.SetLogLevelQuiet(log.Error)
	asked := &fhttp.HTTPRunnerOptions{
		RunnerOptions: periodic.RunnerOptions{
			QPS: *rate, NumThreads: *connections, Duration: *length, Percentiles: []float64{50, 99},
			Resolution: 1e-5, Out: io.Discard,
		},
		HTTPOptions:        fhttp.HTTPOptions{URL: flag.Arg(0), ContentType: "application/json", Payload: []byte(*body)},
		AllowInitialErrors: true, // they are counted, like any other
	}
	found, err := fhttp.RunHTTPTest(asked)
	if err != nil {
		return err
	}
	told := said{
		Requests: found.DurationHistogram.Count, PerSecond: found.ActualQPS, Codes: found.RetCodes, Times: map[string]float64{},
	}
	for code, count := range found.RetCodes {
		if code != 200 {
			told.Failed += count
		}
	}
	for _, one := range found.DurationHistogram.Percentiles {
		told.Times[fmt.Sprintf("p%g", one.Percentile)] = one.Value
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}
