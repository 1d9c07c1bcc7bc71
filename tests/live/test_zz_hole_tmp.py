import time, contextlib, pytest, collections
from tests.live.test_winrm_kerberos import *
from tests.live.test_winrm_kerberos import _as_new
from tests.live.conftest import domain_controller
from agent.sources import winrm_kerberos

@pytest.mark.usefixtures("ticket")
@pytest.mark.parametrize("count",[4,20])
def test_hole(lab, run, tmp_path, monkeypatch,count):
    with contextlib.closing(BlackHole("127.12.0.1", 20_088)):
        nowhere = krb5_configuration(tmp_path / "krb5.conf", lab.dc, "127.12.0.1:20088")
        monkeypatch.setenv("KRB5_CONFIG", str(nowhere))
        b=time.monotonic()
        said = run(*range(1,count+1))
        print("DEBUG", count, time.monotonic()-b, collections.Counter(f[:90] for f in said.failures.values()))
