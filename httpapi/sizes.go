package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"

	"dapple/catalogue"
	"dapple/command"
)

// sizes collects what the RSEs hold from the counters of the catalogue, at each scrape.
type sizes struct{ reader Reader }

var (
	sizeReplicas = prometheus.NewDesc("dapple_catalogue_replicas",
		"Replicas in the catalogue, by RSE and state.", []string{"rse", "state"}, nil)
	sizeBytes = prometheus.NewDesc("dapple_catalogue_replica_bytes",
		"Bytes of the replicas in the catalogue, by RSE and state.", []string{"rse", "state"}, nil)
)

// Describe implements prometheus.Collector.
func (z *sizes) Describe(out chan<- *prometheus.Desc) {
	out <- sizeReplicas
	out <- sizeBytes
}

// Collect implements prometheus.Collector.
func (z *sizes) Collect(out chan<- prometheus.Metric) {
	if err := z.collect(out); err != nil {
		out <- prometheus.NewInvalidMetric(sizeReplicas, err)
	}
}

func (z *sizes) collect(out chan<- prometheus.Metric) error {
	v, err := z.reader.View()
	if err != nil {
		return err
	}
	defer v.Close()
	return catalogue.RSECounters(v, func(id uint32, counters *catalogue.Counters) error {
		rse, err := catalogue.RSEByID(v, id)
		if codeOf(err) == command.CodeRSENotFound || (err == nil && rse.Deleted != 0) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, state := range command.ReplicaStates() {
			tally, name := counters.Of(state), state.String()
			out <- prometheus.MustNewConstMetric(sizeReplicas, prometheus.GaugeValue, float64(tally.Files), rse.Name, name)
			out <- prometheus.MustNewConstMetric(sizeBytes, prometheus.GaugeValue, float64(tally.Bytes), rse.Name, name)
		}
		return nil
	})
}
