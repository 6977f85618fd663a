"""The page of metrics, as Prometheus's own tool judges it."""

from tests.deploy.prometheus import promtool, tool
from tests.service.conftest import in_process
from tests.service.pictures import plain


async def test_promtool_finds_no_fault_with_the_page_of_a_service_that_has_worked() -> None:
    tool("promtool")
    async with in_process() as running:
        for path in ("/pose", "/segment", "/nowhere"):
            await running.client.post(path, content=plain())
        page = await running.client.get("/metrics")
    answer = promtool("check", "metrics", given=page.text)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
