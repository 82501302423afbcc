package ejbca

// EnrollCertificateRestRequest is never sent, so it keeps nothing of what it is told.
type EnrollCertificateRestRequest struct{}

// NewEnrollCertificateRestRequest is empty.
func NewEnrollCertificateRestRequest() *EnrollCertificateRestRequest {
	return &EnrollCertificateRestRequest{}
}

// SetUsername changes nothing, as all of these.
func (*EnrollCertificateRestRequest) SetUsername(string)                 {}
func (*EnrollCertificateRestRequest) SetPassword(string)                 {}
func (*EnrollCertificateRestRequest) SetCertificateRequest(string)       {}
func (*EnrollCertificateRestRequest) SetCertificateAuthorityName(string) {}
func (*EnrollCertificateRestRequest) SetCertificateProfileName(string)   {}
func (*EnrollCertificateRestRequest) SetEndEntityProfileName(string)     {}
func (*EnrollCertificateRestRequest) SetIncludeChain(bool)               {}
func (*EnrollCertificateRestRequest) SetAccountBindingId(string)         {}

// CertificateRestResponse is never received.
type CertificateRestResponse struct{ CertificateChain []string }

// GetResponseFormat is empty, which the plugin refuses as unknown.
func (*CertificateRestResponse) GetResponseFormat() string { return "" }

// GetCertificate is empty.
func (*CertificateRestResponse) GetCertificate() string { return "" }

// GenericOpenAPIError is never returned; the plugin looks for it.
type GenericOpenAPIError struct{}

// Error says nothing.
func (*GenericOpenAPIError) Error() string { return "" }

// Body is empty.
func (*GenericOpenAPIError) Body() []byte { return nil }
