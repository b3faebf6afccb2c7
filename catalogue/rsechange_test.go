package catalogue

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func ptr[T any](v T) *T { return &v }

func uuidOf(n byte) []byte { return append(make([]byte, 15), n) }

func TestAddRSE(t *testing.T) {
	tx := accountStore()
	good := &command.AddRSE{Name: "A-1_B", Uuid: uuidOf(1), Settings: &command.RSESettings{
		Deterministic: ptr(false), RseType: ptr("TAPE"), City: ptr("Geneva"), RegionCode: ptr(""), Longitude: ptr(6.0), AvailabilityWrite: ptr(false),
	}}
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddRSE, good)
	for _, name := range []string{"", "a", "A B", "A-", "_A", "A--B", "A.B", "A\n", strings.Repeat("A", 256)} {
		refused(t, tx, testStamp, command.CodeInvalidObject, AddRSE, &command.AddRSE{Name: name, Uuid: uuidOf(9)})
	}
	refused(t, tx, testStamp, command.CodeInvalidObject, AddRSE, &command.AddRSE{Name: "X", Uuid: []byte{1}})
	for _, s := range []*command.RSESettings{
		{RseType: ptr("CLOUD")},
		{City: ptr(strings.Repeat("x", 256))},
		{City: ptr("a\x00")},
		{Continent: ptr("EUR")},
		{Longitude: ptr(180.5)},
		{Latitude: ptr(math.NaN())},
		{Latitude: ptr(math.Inf(-1))},
		{QosClass: ptr("\x01")},
	} {
		refused(t, tx, testStamp, command.CodeInvalidObject, AddRSE, &command.AddRSE{Name: "X", Uuid: uuidOf(9), Settings: s})
	}
	done(t, tx, as("ann"), AddRSE, good)
	refused(t, tx, testStamp, command.CodeRSEExists, AddRSE, &command.AddRSE{Name: "A-1_B", Uuid: uuidOf(2)})
	refused(t, tx, testStamp, command.CodeRSEExists, AddRSE, &command.AddRSE{Name: "OTHER", Uuid: uuidOf(1)})
	r, err := GetRSE(tx, "A-1_B")
	require.NoError(t, err)
	require.Equal(t, &RSE{
		ID: 1, UUID: [16]byte(uuidOf(1)), Name: "A-1_B", Revision: 7, Created: 1000, Updated: 1000, Type: "TAPE", City: "Geneva",
		AvailableRead: true, AvailableDelete: true, Longitude: ptr(6.0), Attributes: []RSEAttribute{{"city", "Geneva"}},
	}, r)
	byUUID, err := RSEByUUID(tx, r.UUID)
	require.NoError(t, err)
	require.Equal(t, r, byUUID)
	require.Equal(t, "00000000000000000000000000000001", r.UUIDString())
}

func TestUpdateRSE(t *testing.T) {
	tx := rseStore(&RSE{Name: "A", Longitude: ptr(6.0)}, &RSE{Name: "B"})
	refused(t, tx, as("joe"), command.CodeAccessDenied, UpdateRSE, &command.UpdateRSE{Name: "A"})
	refused(t, tx, testStamp, command.CodeRSENotFound, UpdateRSE, &command.UpdateRSE{Name: "NONE"})
	refused(t, tx, testStamp, command.CodeRSEExists, UpdateRSE, &command.UpdateRSE{Name: "A", NewName: "B"})
	refused(t, tx, testStamp, command.CodeInvalidObject, UpdateRSE, &command.UpdateRSE{Name: "A", NewName: "b"})
	done(t, tx, testStamp, UpdateRSE, &command.UpdateRSE{Name: "A", NewName: "C", Settings: &command.RSESettings{
		AvailabilityRead: ptr(true), TimeZone: ptr("UTC"), ClearLongitude: true,
	}})
	_, err := GetRSE(tx, "A")
	require.Equal(t, command.CodeRSENotFound, CodeOf(err))
	r, err := GetRSE(tx, "C")
	require.NoError(t, err)
	require.Equal(t, []any{uint32(1), true, "UTC", int64(1000), uint64(7)}, []any{r.ID, r.AvailableRead, r.TimeZone, r.Updated, r.Revision})
	require.Nil(t, r.Longitude)
	value, found := r.Attribute("time_zone")
	require.True(t, found)
	require.Equal(t, "UTC", value)
	done(t, tx, testStamp, UpdateRSE, &command.UpdateRSE{Name: "C", Settings: &command.RSESettings{TimeZone: ptr("")}})
	r, err = GetRSE(tx, "C")
	require.NoError(t, err)
	require.Empty(t, r.Attributes)
}

func TestDeleteRSE(t *testing.T) {
	tx := rseStore(&RSE{Name: "A"}, &RSE{Name: "B"})
	var held counterChanges
	held.add(1, StateBad, 1, 0)
	require.NoError(t, adjustCounters(tx, testStamp, &held))
	refused(t, tx, as("joe"), command.CodeAccessDenied, DeleteRSE, &command.DeleteRSE{Name: "B"})
	refused(t, tx, testStamp, command.CodeRSENotFound, DeleteRSE, &command.DeleteRSE{Name: "NONE"})
	refused(t, tx, testStamp, command.CodeRSENotEmpty, DeleteRSE, &command.DeleteRSE{Name: "A"})
	done(t, tx, testStamp, DeleteRSE, &command.DeleteRSE{Name: "B"})
	refused(t, tx, testStamp, command.CodeRSENotFound, DeleteRSE, &command.DeleteRSE{Name: "B"})
	old, err := RSEByID(tx, 2)
	require.NoError(t, err)
	require.Equal(t, "B", old.Name)
	_, err = RSEByUUID(tx, old.UUID)
	require.Equal(t, command.CodeRSENotFound, CodeOf(err))
	done(t, tx, testStamp, AddRSE, &command.AddRSE{Name: "B", Uuid: uuidOf(99)})
	again, err := GetRSE(tx, "B")
	require.NoError(t, err)
	require.EqualValues(t, 3, again.ID, "a number was used twice")
}

func TestRSEAttributeCommands(t *testing.T) {
	tx := rseStore(&RSE{Name: "A"})
	set := func(key, value string) *command.SetRSEAttribute {
		return &command.SetRSEAttribute{Rse: "A", Key: key, Value: value}
	}
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetRSEAttribute, set("k", "v"))
	refused(t, tx, testStamp, command.CodeRSENotFound, SetRSEAttribute, &command.SetRSEAttribute{Rse: "NONE", Key: "k"})
	for _, bad := range []string{"", "a\x00", strings.Repeat("k", 256)} {
		refused(t, tx, testStamp, command.CodeInvalidObject, SetRSEAttribute, set(bad, "v"))
	}
	done(t, tx, testStamp, SetRSEAttribute, set("z", "1"))
	done(t, tx, testStamp, SetRSEAttribute, set("k", "True"))
	done(t, tx, testStamp, SetRSEAttribute, set("z", "2"))
	r, err := GetRSE(tx, "A")
	require.NoError(t, err)
	require.Equal(t, []RSEAttribute{{"k", "true"}, {"z", "2"}}, r.Attributes)
	unset := func(key string) *command.DeleteRSEAttribute { return &command.DeleteRSEAttribute{Rse: "A", Key: key} }
	refused(t, tx, as("joe"), command.CodeAccessDenied, DeleteRSEAttribute, unset("k"))
	done(t, tx, testStamp, DeleteRSEAttribute, unset("k"))
	refused(t, tx, testStamp, command.CodeRSEAttributeNotFound, DeleteRSEAttribute, unset("k"))
	refused(t, tx, testStamp, command.CodeInputValidation, DeleteRSEAttribute, unset("A"))
}

func TestProtocolCommands(t *testing.T) {
	tx := rseStore(&RSE{Name: "A"})
	add := func(scheme string, change func(*command.ProtocolSettings)) *command.AddProtocol {
		p := &command.ProtocolSettings{
			Scheme: &scheme, Hostname: ptr("h"), Port: ptr(int32(1)), Impl: ptr("i"),
			Wan: &command.ProtocolPriorities{Read: ptr(int32(1))},
		}
		if change != nil {
			change(p)
		}
		return &command.AddProtocol{Rse: "A", Protocol: p}
	}
	refused(t, tx, as("joe"), command.CodeAccessDenied, AddProtocol, add("davs", nil))
	refused(t, tx, testStamp, command.CodeRSENotFound, AddProtocol, &command.AddProtocol{Rse: "NONE"})
	for _, change := range []func(*command.ProtocolSettings){
		func(p *command.ProtocolSettings) { p.Impl = nil },
		func(p *command.ProtocolSettings) { p.Scheme = ptr("") },
		func(p *command.ProtocolSettings) { p.Scheme = ptr("a b") },
		func(p *command.ProtocolSettings) { p.Scheme = ptr("srm") },
		func(p *command.ProtocolSettings) { p.Port = ptr(int32(-1)) },
		func(p *command.ProtocolSettings) { p.Port = ptr(int32(65536)) },
		func(p *command.ProtocolSettings) { p.Prefix = ptr(strings.Repeat("/", 1025)) },
		func(p *command.ProtocolSettings) { p.ExtendedAttributes = ptr("{") },
	} {
		refused(t, tx, testStamp, command.CodeInvalidObject, AddProtocol, add("davs", change))
	}
	refused(t, tx, testStamp, command.CodeProtocolPriorityInvalid, AddProtocol, add("davs", func(p *command.ProtocolSettings) { p.Wan.Read = ptr(int32(-2)) }))
	done(t, tx, testStamp, AddProtocol, add("root", nil))
	done(t, tx, testStamp, AddProtocol, add("davs", func(p *command.ProtocolSettings) { p.Wan.Read = ptr(int32(2)) }))
	done(t, tx, testStamp, AddProtocol, add("davs", func(p *command.ProtocolSettings) {
		p.Port, p.Wan.Read, p.Wan.Delete = ptr(int32(0)), ptr(int32(0)), ptr(int32(1))
	}))
	refused(t, tx, testStamp, command.CodeProtocolExists, AddProtocol, add("davs", nil))
	r, err := GetRSE(tx, "A")
	require.NoError(t, err)
	order := func(all []*Protocol) (text string) {
		for _, p := range all {
			text += p.PFN("") + " "
		}
		return text
	}
	require.Equal(t, "root://h:1/ davs://h:1/ ", order(r.ProtocolsFor(OperationRead, DomainWAN)))
	require.Equal(t, "davs://h:1/ ", order(r.ProtocolsFor(OperationRead, DomainAll, "davs", "srm")))
	require.Empty(t, r.ProtocolsFor(OperationRead, DomainLAN))
	require.Empty(t, r.ProtocolsFor(OperationWrite, DomainWAN))
	require.Empty(t, r.ProtocolsFor("eat", DomainWAN))
	require.Equal(t, PriorityNone, r.Protocols[0].LAN.Read)

	change := func(scheme string, port int32, p *command.ProtocolSettings) *command.UpdateProtocols {
		return &command.UpdateProtocols{Rse: "A", Scheme: scheme, Hostname: ptr("h"), Port: &port, Changes: p}
	}
	refused(t, tx, testStamp, command.CodeProtocolNotSupported, UpdateProtocols, change("davs", 2, nil))
	refused(t, tx, testStamp, command.CodeProtocolNotSupported, UpdateProtocols, &command.UpdateProtocols{Rse: "A", Scheme: "root"})
	refused(t, tx, testStamp, command.CodeProtocolExists, UpdateProtocols, change("davs", 1, &command.ProtocolSettings{Port: ptr(int32(0))}))
	refused(t, tx, as("joe"), command.CodeAccessDenied, UpdateProtocols, change("davs", 1, nil))
	done(t, tx, testStamp, UpdateProtocols, change("davs", 1, &command.ProtocolSettings{Hostname: ptr("z"), Prefix: ptr("/p")}))
	r, err = GetRSE(tx, "A")
	require.NoError(t, err)
	require.Equal(t, "davs://h:0/ root://h:1/ davs://z:1/p/ ", order([]*Protocol{&r.Protocols[0], &r.Protocols[1], &r.Protocols[2]}))

	refused(t, tx, as("joe"), command.CodeAccessDenied, DeleteProtocols, &command.DeleteProtocols{Rse: "A", Scheme: "davs"})
	refused(t, tx, testStamp, command.CodeProtocolNotSupported, DeleteProtocols, &command.DeleteProtocols{Rse: "A", Scheme: "davs", Hostname: ptr("x")})
	refused(t, tx, testStamp, command.CodeProtocolNotSupported, DeleteProtocols, &command.DeleteProtocols{Rse: "A", Scheme: "davs", Hostname: ptr("z"), Port: ptr(int32(9))})
	done(t, tx, testStamp, DeleteProtocols, &command.DeleteProtocols{Rse: "A", Scheme: "davs", Hostname: ptr("z")})
	done(t, tx, testStamp, DeleteProtocols, &command.DeleteProtocols{Rse: "A", Scheme: "davs"})
	r, err = GetRSE(tx, "A")
	require.NoError(t, err)
	require.Len(t, r.Protocols, 1)
}
