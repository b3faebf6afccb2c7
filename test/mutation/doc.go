// Package mutation sends requests that are wrong in every way to a cluster: they are made from openapi.yaml and then broken, with
// a seed, so that each can be made again. The answers must be errors of the API, in time, and the cluster must come out of it alive
// and with one state.
package mutation
