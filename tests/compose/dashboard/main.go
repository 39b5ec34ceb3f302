// Decodes a dashboard strictly into Grafana's own types, as its makers publish them, and checks the values: `go run . DASHBOARD`.
package main

import (
	"log"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var whole dashboard.Dashboard
	told(whole.UnmarshalJSONStrict(text))
	told(whole.Validate())
}

// An error without a text is none: an empty list of errors, which the decoder gives.
func told(err error) {
	if err != nil && err.Error() != "" {
		log.Fatal(err)
	}
}
