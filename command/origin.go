package command

// LeaderOnly reports whether only the leader itself makes the command: no client's request becomes one, on whichever node.
// The leader refuses it from another node.
func (t Type) LeaderOnly() bool {
	switch t {
	case TypeTermStart, TypeGenesis, TypeTrimChanges, TypeRaiseFeatures, TypeAddSigningKey, TypeUseJoinToken,
		TypeExpireUnavailable, TypeForgetExpired, TypeIndexLifetimes:
		return true
	}
	return false
}
