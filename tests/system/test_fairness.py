"""A greedy owner's slow scans delay nobody's text, not even the owner's own; and all of them are read in the end."""

from tests.benchmarks.fairness import printed_pages
from tests.system.conftest import StartStack
from tests.system.stack import Person, Stack

SCANS = 4
"""Of each greedy owner: enough to keep two cores busy for much longer than a line of text takes."""
AT_MOST_SECONDS = 30.0
"""Far more than the few hundred milliseconds it takes, far less than the scans."""


async def scans_waiting(person: Person) -> int:
    answer = await person.http.get("/api/documents", params={"status": "stored"})
    return len(answer.json()["items"])


async def test_texts_are_ready_while_scans_that_came_before_them_wait(start_stack: StartStack) -> None:
    stack: Stack = await start_stack()
    greedy = [await stack.person() for _ in range(2)]
    stranger = await stack.person()
    # All that is slow stands before all that is quick when the work begins.
    await stack.kill("worker")
    scans = {
        person.email: [
            await person.upload(f"waterbirds {number}.pdf", printed_pages(2, seed=number), "application/pdf", complete=True)
            for number in range(SCANS)
        ]
        for person in greedy
    }
    own = await greedy[0].upload("own.txt", b"a line of one's own about the heron\n", "text/plain", complete=True)
    another = await stranger.upload("another.txt", b"a line about the kingfisher\n", "text/plain", complete=True)
    await stack.start("worker")
    assert (await stranger.settled(another, seconds=AT_MOST_SECONDS))["status"] == "ready"
    assert (await greedy[0].settled(own, seconds=AT_MOST_SECONDS))["status"] == "ready"
    assert [hit["id"] for hit in await stranger.search("kingfisher")] == [another]
    assert [hit["id"] for hit in await greedy[0].search("heron")] == [own]
    for person in greedy:
        assert await scans_waiting(person) > SCANS // 2, "most scans are still to be read"

    # Those that wait have names, and in the end have text.
    for person in greedy:
        for document_id in scans[person.email]:
            document = await person.settled(document_id, seconds=300)
            assert (document["status"], document["warnings"], document["page_count"]) == ("ready", [], 2)
        found = {hit["id"] for hit in await person.search("invoice amount due")}
        assert found == set(scans[person.email])
    for person in (*greedy, stranger):
        await person.close()


async def test_a_scan_is_found_by_its_name_while_it_waits(start_stack: StartStack) -> None:
    stack: Stack = await start_stack(settings={"BROKER_RECOGNITION_CONCURRENCY": "1"})
    person = await stack.person()
    first = await person.upload("first.pdf", printed_pages(6), "application/pdf")
    second = await person.upload("cormorant.pdf", printed_pages(6, seed=1), "application/pdf")

    async def found() -> bool:
        return [hit["id"] for hit in await person.search("cormorant")] == [second]

    from tests.system.stack import until

    await until(found, "the second scan is found by its name")
    document = await person.document(second)
    assert document["status"] == "stored"
    history = (await person.http.get(f"/api/documents/{second}/history")).json()["items"]
    assert {step["step"]: step["state"] for step in history} in (
        {"upload": "done", "extract": "running"},
        {"upload": "done"},
    )
    for document_id in (first, second):
        assert (await person.settled(document_id, seconds=300))["status"] == "ready"
    await person.close()
