package tenant

// What is attached to objects: tags, comments, documents. Each group has the same routes for several kinds of owners.

// attachTag answers an unknown owner or tag with 404 and attaches a tag once only.
func attachTag(ownerKind, param, tagKind string) handler {
	return func(t *tx) (any, error) {
		owner, tag := t.params[param], t.fields().Str("tagId")
		if _, err := t.get(ownerKind, owner); err != nil {
			return nil, err
		}
		if _, err := t.get(tagKind, tag); err != nil {
			return nil, err
		}
		t.put("tagLink", Object{"id": owner + " " + tag, "ownerId": owner, "tagId": tag})
		t.fire(kinds[ownerKind].action+"Updated", owner)
		return nil, nil
	}
}

// detachTag succeeds even if the tag was not attached or the owner is unknown, as observed with companies.
func detachTag(ownerKind, param string) handler {
	return func(t *tx) (any, error) {
		owner, link := t.params[param], t.params[param]+" "+t.params["tagId"]
		if _, err := t.get("tagLink", link); err == nil {
			t.remove("tagLink", link)
			t.fire(kinds[ownerKind].action+"Updated", owner)
		}
		return nil, nil
	}
}

// tagsOf lists the tags of one object. The list of an unknown company is empty (observed). The others answer 404, which one client
// expects for users.
func tagsOf(ownerKind, param, tagKind string) handler {
	return func(t *tx) (any, error) {
		owner := t.params[param]
		if _, err := t.get(ownerKind, owner); err != nil && ownerKind != "company" {
			return nil, err
		}
		tags := []Object{}
		for _, link := range t.list("tagLink", where("ownerId", owner)) {
			if tag, err := t.get(tagKind, link.Str("tagId")); err == nil {
				tags = append(tags, tag)
			}
		}
		return t.renderRows(tagKind, tags), nil
	}
}

// commentRoutes describes the comments of one kind of owner.
type commentRoutes struct {
	kind, param string
	property    string // the owner's property in a comment; the one for packages is irregular
	nested      bool   // answers are inside the comment that they answer
	reference   string // referenceType of GET /comments/{commentId}
	anyOwner    bool   // the simulator has no such objects, so every id is valid
}

func (c commentRoutes) owner(t *tx) (string, error) {
	if c.anyOwner {
		return t.params[c.param], nil
	}
	if c.kind == "package" {
		p, err := t.packageInPath()
		return p.ID(), err
	}
	o, err := t.get(c.kind, t.params[c.param])
	return o.ID(), err
}

func (c commentRoutes) render(t *tx, comment Object) Object {
	out := t.render("comment", comment, false)
	out[c.property] = out["referenceId"]
	delete(out, "referenceId")
	delete(out, "referenceType")
	if c.nested {
		answers := []any{}
		for _, answer := range t.list("comment", where("parentId", comment.ID())) {
			answers = append(answers, c.render(t, answer))
		}
		out["subComments"] = answers
	}
	return out
}

func (c commentRoutes) list(t *tx) (any, error) {
	owner, err := c.owner(t)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, comment := range t.list("comment", where("referenceId", owner)) {
		if !c.nested || comment.Str("parentId") == "" {
			out = append(out, c.render(t, comment))
		}
	}
	return out, nil
}

func (c commentRoutes) create(t *tx) (any, error) {
	owner, err := c.owner(t)
	if err != nil {
		return nil, err
	}
	comment, err := t.create("comment", t.fields(), Object{"referenceId": owner, "referenceType": c.reference})
	if err != nil {
		return nil, err
	}
	return c.render(t, comment), nil
}

func (c commentRoutes) find(t *tx) (Object, error) {
	owner, err := c.owner(t)
	if err != nil {
		return nil, err
	}
	comment, err := t.get("comment", t.params["commentId"])
	if err != nil || comment.Str("referenceId") != owner {
		return nil, notFound("comment", t.params["commentId"])
	}
	return comment, nil
}

func (c commentRoutes) get(t *tx) (any, error) {
	comment, err := c.find(t)
	if err != nil {
		return nil, err
	}
	return c.render(t, comment), nil
}

func (c commentRoutes) delete(t *tx) (any, error) {
	comment, err := c.find(t)
	if err != nil {
		return nil, err
	}
	answer := c.render(t, comment)
	t.delete("comment", comment)
	return answer, nil
}

func completeComment(t *tx, _, after, _ Object) error {
	parent := after.Str("parentId")
	if parent == "" {
		return nil
	}
	if p, err := t.get("comment", parent); err != nil || p["referenceId"] != after["referenceId"] {
		return notFound("comment", parent)
	}
	return nil
}

// upload is the part named file of a multipart body.
type upload struct {
	name, contentType string
	size              int64
}

func uploadTo(ownerKind, param string) handler {
	return func(t *tx) (any, error) {
		if _, err := t.get(ownerKind, t.params[param]); err != nil {
			return nil, err
		}
		o, err := t.create("document", nil, Object{
			"title": t.file.name, "contentType": t.file.contentType, "size": whole(t.file.size),
			"referenceId": t.params[param], "referenceType": ownerKind,
		})
		if err != nil {
			return nil, err
		}
		return t.render("document", o, false), nil
	}
}

// documentOf runs a handler on a document if it belongs to the object in the path.
func documentOf(param string, verb handler) handler {
	return func(t *tx) (any, error) {
		d, err := t.get("document", t.params["documentId"])
		if err != nil || d.Str("referenceId") != t.params[param] {
			return nil, notFound("document", t.params["documentId"])
		}
		return verb(t)
	}
}

// dataQuota compares the uploaded bytes with an invented limit.
func dataQuota(t *tx) (any, error) {
	var used int64
	for _, d := range t.list("document", nil) {
		size, _ := d["size"].(interface{ Int64() (int64, error) })
		if n, err := size.Int64(); err == nil {
			used += n
		}
	}
	return Object{"maxDiskSpace": whole(50 << 30), "usedDiskSpace": whole(used)}, nil
}

// associate sets or clears one property by a route without an answer, such as the company of a project.
func associate(kind, param, property, bodyProperty, refKind string) handler {
	return func(t *tx) (any, error) {
		o, err := t.get(kind, t.params[param])
		if err != nil {
			return nil, err
		}
		var value any
		if bodyProperty != "" {
			id := t.fields().Str(bodyProperty)
			if _, err := t.get(refKind, id); err != nil {
				return nil, err
			}
			value = id
		}
		t.change(kind, o, Object{property: value}, kinds[kind].action+"Updated")
		return nil, nil
	}
}
