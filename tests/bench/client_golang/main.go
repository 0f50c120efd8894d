// As many counters as the bench's own program `series` makes, served by client_golang.
//
//	client_golang COUNT
//
// Prints its port on 127.0.0.1 and ends when its standard input does.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func counters(count int) *prometheus.CounterVec {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bench_requests_total",
		Help: "Requests of the bench.",
	}, []string{"client", "gen_ai_tool_name", "mcp_method_name", "service_name"})
	for i := 0; i < count; i++ {
		requests.WithLabelValues(fmt.Sprintf("client_%d", i%10), fmt.Sprintf("tool_%05d", i/10),
			"tools/call", "bench").Add(float64(1000 + i))
	}
	return requests
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: client_golang COUNT")
	}
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(counters(count))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, nil))
}
