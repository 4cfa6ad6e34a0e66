"""`flask exports entities`."""

import json

from flask.testing import FlaskCliRunner

from app.families.exports.catalog import ENTITIES


def test_entities_lists_each_with_its_columns_and_filters(cli: FlaskCliRunner) -> None:
    output = cli.invoke(args=["exports", "entities"]).output

    assert all(f"\n{name}\n" in f"\n{output}" for name in ENTITIES)
    assert "createdAfter, createdBefore, organizationId, email" in output
    assert max(map(len, output.splitlines())) <= 80


def test_entities_as_json_tells_kinds_and_choices(cli: FlaskCliRunner) -> None:
    found = json.loads(cli.invoke(args=["exports", "entities", "--json"]).output)

    entities = {entity["name"]: entity for entity in found}
    assert entities["users"]["columns"][0] == {"name": "id", "kind": "integer"}
    assert entities["memberships"]["filters"]["role"] == ["owner", "admin", "member"]
    assert entities["users"]["filters"]["createdAfter"] is None
