// Package conformance plays recordings of a real Rucio server against Dapple and compares the answers.
//
// testdata holds what Rucio 41.0.0rc1 on PostgreSQL 15 answered to 424 requests in 16 stories, and stories of faults that
// were reported. A story makes its own accounts,
// scopes and RSEs on a server with an empty catalogue. The rules of comparison:
//
//   - request: method, path, JSON body (or raw_body as it stands), accept, headers. "as" is [account, identity, password] whose
//     token is sent; null is no token; absent is root. "capture" keeps values of the answer under a name, {{NAME}} fills them
//     in later. {{any:time}} and {{any:id}} are the server's choice.
//   - expect: status, content type, exception class and body as json, json_stream (one value a line) or text. Messages of
//     exceptions are not compared, nor is the order of list items.
//   - compare: exact (the default), superset (more fields are welcome), status (status and class alone), ignore-body.
//   - note: says what the step is about. "Rucio itself answers N" marks a step at which the recorded answer is not Rucio's
//     but the one that is wanted of Dapple.
//   - also_accepted: other statuses that are as good or better. Where Rucio answered 500 to bad input, a 4xx is wanted; the 500
//     of UnsupportedOperation is part of the contract.
//
// TestRecordingsOnRucio starts Rucio's server and plays the stories against it too. There the recorded answers must come as they
// are, its failures included, but for the steps that are known to differ: by their notes, or by testdata/rucio/differences.json.
package conformance
