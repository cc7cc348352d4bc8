"""The forms in which models write tool calls, each in a module of its own.

    form        what a form is
    objects     for forms that write JSON objects of a name and arguments

The first form whose signs are in a chat template is the template's; the last one has no signs.
"""

from rowcast.text.chat.forms.bare import BARE
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.harmony import HARMONY
from rowcast.text.chat.forms.lists import GRANITE, MISTRAL, PHI
from rowcast.text.chat.forms.named import NAMED
from rowcast.text.chat.forms.tagged import TAGGED

FORMS: dict[str, Form] = {
    form.name: form for form in (HARMONY, NAMED, MISTRAL, PHI, GRANITE, TAGGED, BARE)
}


def form_of(template: str) -> Form:
    """Return the form that a chat template teaches."""
    taught = (form for form in FORMS.values() if all(sign in template for sign in form.signs))
    return next(taught)
