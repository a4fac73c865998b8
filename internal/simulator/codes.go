package simulator

import "fmt"

// TikTok's codes. They travel in answers with HTTP status 200.
const (
	codeOK           = 0
	codeNoPermission = 40001
	codeParameter    = 40002
	codeNotFound     = 40007
	codeBlocked      = 40064
	codeThrottled    = 40100
	codeCredentials  = 40101
	codeToken        = 40105
	codeAuthCode     = 40110
	codeFileType     = 40908
)

// failure is a refusal with one of TikTok's codes.
type failure struct {
	code    int
	message string
}

func refuse(code int, format string, args ...any) *failure {
	return &failure{code, fmt.Sprintf(format, args...)}
}
