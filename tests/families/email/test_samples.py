from app.families.email.payload import SendEmailSchema
from app.families.email.samples import SAMPLES
from app.families.email.template import TEMPLATES


def test_there_is_one_sample_of_each_template() -> None:
    assert [sample["template"] for sample in SAMPLES] == list(TEMPLATES)


def test_what_a_sample_loads_to_dumps_to_the_sample() -> None:
    schema = SendEmailSchema()

    for sample in SAMPLES:
        assert schema.dump(schema.load(sample)) == {**sample, "subject": None}
