"""Configuration texts with and without secrets: what both tables of blanking, Python's and PowerShell's, must do."""

from hypothesis import strategies as st

FIRING = (
    '<processModel userName="TEST\\svc" password="geheim" />',
    "<x Password = 'geheim'/>",
    '<x b="c"\n  password="geheim\r\n  geheim\n"\n  c="d"/>',
    '<add name="db" connectionString="Server=x;User=y;Password=geheim" providerName="p" />',
    '<machineKey validationKey="geheim" decryptionKey="geheim,IsolateApps" validation="SHA1" />',
    '<add name="AesProvider" sessionKey="geheim" />',
    '<add key="Url" value="geheim" />',
    '<add value="geheim" key="Url" />',
    "<add\n  value='geheim'\n  other=\"x\"\n  key='a'\n/>",
    '<add key="a" other="b" value="\ngeheim\n  geheim" />',
    '<environmentVariable name="X" value="geheim" />',
    '<environmentVariables><add name="X" value="geheim" /></environmentVariables>',
    '<x clientSecret="geheim" /><x AccessToken="geheim"/><x apiKey="geheim" ftpPwd="geheim" />',
    "<CipherValue>geheim</CipherValue>",
    "<CipherValue>\n  geheim\r\n  geheim\n</CipherValue>",
    '<enc:CipherValue x="1">geheim</enc:CipherValue>',
    '<setting name="S"><value>geheim</value></setting><value a=">" b="c">geheim</value>',
    "<value><![CDATA[<x>geheim</x>\ngeheim]]></value>",
    '<aspNetCore arguments="--password=geheim&amp;geheim" stdoutLogEnabled="false" />',
    '<x y="Server=s;Pwd=&quot;ge;heim&quot;;Timeout=5" />',
    '<!-- <add key="a" value="geheim" /> <x password="geheim"/> -->',
    "<!-- don't --><x password='geheim'/>",
    "<x arguments='--password=' password='geheim'/>",
    '<x password="geheim',
    '<x a="y password="geheim" b="c"/>',
    '<x password="<geheim>"/>',
)

SILENT = (
    '<providers><clear /><add value="Negotiate" /><add value="NTLM" /><remove value="x" /></providers>',
    '<extendedProtection tokenChecking="Require" flags="None"><spn name="HTTP/token" /></extendedProtection>',
    '<windowsAuthentication enabled="true" useKernelMode="true" useAppPoolCredentials="true" />',
    '<processModel identityType="SpecificUser" userName="TEST\\pwd-svc" password="" />',
    '<binding protocol="https" bindingInformation="*:443:token.test.com" sslFlags="0" />',
    '<virtualDirectory path="/secret" physicalPath="C:\\password\\token" />',
    '<site name="Password reset" id="1"><application applicationPool="token" /></site>',
    '<section name="x" type="A, B, Culture=neutral, PublicKeyToken=b03f5f7f11d50a3a" />',
    '<aspNetCore arguments="--password=" stdoutLogEnabled="true" />',
    '<rule name="a"><match url="(.*)" /><action type="Rewrite" url="/x?token" /></rule>',
    '<add key="a" value="" />\n<add value="x" />\n<add key="b" />',
    "<value></value><value />text<string\n/>",
    '<value a="x>y" b="/>" />text',
    "Password: none",
    "",
)


_NAMES = st.sampled_from(("password", "value", "key", "name", "userName", "tokenChecking", "apiToken", "path"))
_VALUES = st.lists(
    st.sampled_from(("password=", "token", "Pwd=a;", "value='", "key=", " ", "\n", "=", "/>", "x", "&quot;", "&amp;"))
).map("".join)


def elements() -> st.SearchStrategy[list[tuple[str, dict[str, str]]]]:
    """Elements by name and attributes, with what looks like an attribute or a tag inside the values."""
    return st.lists(st.tuples(st.sampled_from(("add", "x", "value")), st.dictionaries(_NAMES, _VALUES)), max_size=5)


def xml(drawn: list[tuple[str, dict[str, str]]]) -> str:
    """A configuration of these elements."""
    tags = (" ".join([tag, *(f'{name}="{value}"' for name, value in given.items())]) for tag, given in drawn)
    return f"<configuration>{' '.join(f'<{tag}/>' for tag in tags)}</configuration>"
