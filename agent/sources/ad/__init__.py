"""What does Active Directory say? LDAP, LDIF and setspn text -> one Directory. May import: change and below."""
