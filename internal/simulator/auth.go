package simulator

import "slices"

// authenticate checks the app, by whichever names the call has for it, and the token where one is needed.
func (s *Simulator) authenticate(c *call, e endpoint) *failure {
	for _, name := range []string{"client_id", "app_id"} {
		if id, given := c.params[name]; given && id != s.opts.AppID {
			return refuse(codeCredentials, "The app id and secret do not match.")
		}
	}
	for _, name := range []string{"client_secret", "secret"} {
		if secret, given := c.params[name]; given && !s.app.accepts(secret) {
			return refuse(codeCredentials, "The app id and secret do not match.")
		}
	}
	if !s.app.isEnabled() {
		return refuse(codeCredentials, "The app is disabled.")
	}
	if !e.needsToken {
		return nil
	}
	if c.accessToken == "" {
		return refuse(codeToken, "Access token is missing: send it in the header Access-Token.")
	}
	auth, ok := s.authorizations.access(c.accessToken, c.now)
	switch {
	case !ok:
		return refuse(codeToken, "Access token is incorrect or has been revoked.")
	case c.params["business_id"] != auth.business:
		return refuse(codeNoPermission, "No permission to operate this business_id.")
	case e.scope != "" && !slices.Contains(auth.scopes, e.scope):
		return refuse(codeNoPermission, "No permission: the scope %s is missing.", e.scope)
	}
	c.authorization = auth
	return nil
}
