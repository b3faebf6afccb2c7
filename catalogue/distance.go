package catalogue

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"dapple/command"
)

// Distance says how far a destination is from a source; less is nearer, the unit is the operator's.
type Distance struct {
	Distance uint32
	// Created and Updated are log times in microseconds.
	Created, Updated int64
}

const distanceFormat = 1

func appendDistance(b []byte, d *Distance) []byte {
	b = binary.AppendUvarint(append(b, distanceFormat), uint64(d.Distance))
	return binary.AppendVarint(binary.AppendVarint(b, d.Created), d.Updated)
}

func parseDistance(b []byte) (Distance, error) {
	r := newRecordReader(b, distanceFormat)
	d := Distance{Distance: r.uint32(), Created: r.varint(), Updated: r.varint()}
	return d, r.done()
}

func distanceKey(source, destination uint32) []byte {
	return appendID(idKey(tableRSEDistance, source), destination)
}

// GetDistance returns the distance between two RSEs by their numbers, and false where none was set.
func GetDistance(v View, source, destination uint32) (Distance, bool, error) {
	b, found, err := v.Get(distanceKey(source, destination))
	if err != nil || !found {
		return Distance{}, false, err
	}
	d, err := parseDistance(b)
	if err != nil {
		err = fmt.Errorf("distance from RSE %d to %d: %w", source, destination, err)
	}
	return d, err == nil, err
}

// SetDistance sets the distance between two RSEs, one way or both.
func SetDistance(tx Tx, at Stamp, c *command.SetDistance) ([]byte, error) {
	action := ActionAddDistance
	if c.Update {
		action = ActionUpdateDistance
	}
	if err := Authorize(tx, at.Issuer, action); err != nil {
		return nil, err
	}
	ways, err := waysBetween(tx, c.Source, c.Destination, c.Bidirectional)
	if err != nil {
		return nil, err
	}
	changed := make(map[[2]uint32]Distance, len(ways))
	for _, way := range ways {
		d, found, err := GetDistance(tx, way[0], way[1])
		switch {
		case err != nil:
			return nil, err
		case found && !c.Update:
			return nil, Errorf(command.CodeDistanceExists, "The distance from RSE '%s' to RSE '%s' is known already", c.Source, c.Destination)
		case !found && c.Update:
			continue
		case !found:
			d.Created = at.Time
		}
		d.Distance, d.Updated = c.Distance, at.Time
		changed[way] = d
	}
	for _, way := range ways {
		if d, found := changed[way]; found {
			tx.Put(distanceKey(way[0], way[1]), appendDistance(nil, &d))
			noteDistance(tx, at, c.Source, c.Destination, way != ways[0], strconv.FormatUint(uint64(d.Distance), 10))
		}
	}
	return nil, nil
}

// DeleteDistance forgets the distance between two RSEs, one way or both.
func DeleteDistance(tx Tx, at Stamp, c *command.DeleteDistance) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionDeleteDistance); err != nil {
		return nil, err
	}
	ways, err := waysBetween(tx, c.Source, c.Destination, c.Bidirectional)
	if err != nil {
		return nil, err
	}
	for _, way := range ways {
		tx.Delete(distanceKey(way[0], way[1]))
		noteDistance(tx, at, c.Source, c.Destination, way != ways[0], "")
	}
	return nil, nil
}

// noteDistance notes the distance from one RSE to another, or of the way back; "" for none.
func noteDistance(tx Tx, at Stamp, source, destination string, back bool, distance string) {
	if back {
		source, destination = destination, source
	}
	tx.Note(at, rseChange(source, changedDistance, destination, distance))
}

// waysBetween returns the numbers of source and destination, and the way back where it is wanted and another one.
func waysBetween(v View, source, destination string, bidirectional bool) ([][2]uint32, error) {
	from, err := GetRSE(v, source)
	if err != nil {
		return nil, err
	}
	to, err := GetRSE(v, destination)
	if err != nil {
		return nil, err
	}
	ways := [][2]uint32{{from.ID, to.ID}}
	if bidirectional && from.ID != to.ID {
		ways = append(ways, [2]uint32{to.ID, from.ID})
	}
	return ways, nil
}

// deleteDistances forgets every distance from and to an RSE.
func deleteDistances(tx Tx, rse uint32) error {
	next, err := nextID(tx, idRSE)
	if err != nil {
		return err
	}
	for other := uint32(1); other < next; other++ {
		for _, key := range [...][]byte{distanceKey(rse, other), distanceKey(other, rse)} {
			_, found, err := tx.Get(key)
			if err != nil {
				return err
			}
			if found {
				tx.Delete(key)
			}
		}
	}
	return nil
}
