package cluster

import (
	"errors"

	"dapple/command"
)

// entry is an encoded log entry that carries count commands of a group.
type entry struct {
	data  []byte
	count int
	err   *Error // the one command that it stands for cannot be encoded
}

// encodeGroup makes one log entry of the commands. Where they are too large together they are halved, so that only a
// command that is too large alone fails. stamp is called once for each entry, in their order.
func encodeGroup(stamp func() int64, commands []command.Command) []entry {
	data, err := command.EncodeEntry(command.Entry{Time: stamp(), Commands: commands})
	switch {
	case err == nil:
		return []entry{{data: data, count: len(commands)}}
	case len(commands) > 1:
		half := len(commands) / 2
		return append(encodeGroup(stamp, commands[:half]), encodeGroup(stamp, commands[half:])...)
	case errors.Is(err, command.ErrEntryTooLarge):
		return []entry{{count: 1, err: &Error{Code: command.CodeTooLarge, Message: "the command does not fit into a log entry", Err: err}}}
	default:
		return []entry{{count: 1, err: &Error{Code: command.CodeInternal, Message: "the command cannot be encoded", Err: err}}}
	}
}
