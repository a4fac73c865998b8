package simulator

import "slices"

func (s *Simulator) getBusiness(c *call) (any, *failure) {
	b, ok := s.accounts.get(c.authorization.business)
	if !ok {
		return nil, refuse(codeNotFound, "The business does not exist.")
	}
	known := []string{"username", "display_name", "profile_image"}
	fields, given := c.lists["fields"]
	if !given {
		fields = known
	}
	values := map[string]any{"username": b.Username, "display_name": b.DisplayName, "profile_image": b.ProfileImageURL}
	data := make(map[string]any, len(fields))
	for _, field := range fields {
		if !slices.Contains(known, field) {
			return nil, refuse(codeParameter, "fields: %q is not one of username, display_name, profile_image.", clip(field, maxName))
		}
		data[field] = values[field]
	}
	return data, nil
}
