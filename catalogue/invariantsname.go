package catalogue

// checkName checks that a text is one that something may be called whatever the schema of names.
func checkName(what, name string) error { return checkText(what, name, MaxNameBytes) }

// checkText checks that a text is not empty, not longer than longest and holds no control characters.
func checkText(what, text string, longest int) error {
	if !validName(text, longest) {
		return violated("the %s %.64q is no text of 1 to %d bytes without control characters", what, text, longest)
	}
	return nil
}

// rseNames checks the names that an RSE holds.
func rseNames(r *RSE) error {
	if err := checkName("name", r.Name); err != nil {
		return err
	}
	for _, a := range r.Attributes {
		if err := checkText("attribute", a.Key, maxText); err != nil {
			return err
		}
	}
	for i := range r.Protocols {
		p := &r.Protocols[i]
		if p.Scheme == "" || !isPlainText(p.Scheme+p.Hostname+p.Prefix+p.Impl) {
			return violated("protocol %d has a text with control characters, or no scheme", i)
		}
	}
	return nil
}

func (c *invariants) identity(key, _ []byte) error {
	if len(key) == 0 {
		return ErrKey
	}
	return checkText("identity", string(key[1:]), maxIdentityName)
}

func (c *invariants) accountAttribute(key, _ []byte) error {
	account, attribute, err := parseText0(key)
	if err != nil {
		return err
	}
	if _, found, err := findAccount(c.v, account); err != nil || !found {
		return violated("account %q does not exist (%v)", account, err)
	}
	return checkText("attribute", string(attribute), maxText)
}

func (c *invariants) quarantined(key, value []byte) error {
	_, path, err := parseID(key)
	if err != nil {
		return err
	}
	q, err := parseQuarantined(value)
	if err != nil {
		return err
	}
	for _, text := range [...]struct{ what, name string }{{"scope", q.Scope}, {"name", q.Name}} {
		if text.name == "" {
			continue
		}
		if err := checkName(text.what, text.name); err != nil {
			return err
		}
	}
	if err := checkText("path", string(path), maxPFN); err != nil {
		return err
	}
	return same(value, appendQuarantined(nil, &q))
}

func (c *invariants) badPFN(key, value []byte) error {
	if len(key) == 0 {
		return ErrKey
	}
	p, err := parseBadPFN(value)
	if err != nil {
		return err
	}
	if err := checkText("PFN", string(key[1:]), maxPFN); err != nil {
		return err
	}
	return same(value, appendBadPFN(nil, &p))
}
