"""The pages of an application."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from common import clock
from common.errors import DomainError
from kyc import forms, operations, queries, rules


@login_required
@require_safe
def application(request: HttpRequest) -> HttpResponse:
    """Show where an application stands, or go on where it was left."""
    assert request.user.is_authenticated
    mine = queries.application_of(request.user)
    if mine is None or (mine.status in queries.EDITABLE and "start" in request.GET):
        return redirect("kyc:step", _next_step(mine))
    page = {
        "application": mine,
        "standing": queries.standing(request.user),
        "editable": mine.status in queries.EDITABLE,
    }
    return render(request, "kyc/application_show.html", page)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, name: str) -> HttpResponse:
    """Ask one group of questions, and keep the answers."""
    assert request.user.is_authenticated
    if name not in forms.STEPS:
        raise Http404
    mine = queries.application_of(request.user)
    if mine is not None and mine.status not in queries.EDITABLE:
        return redirect("kyc:application")
    if name == "submit":
        return _submit(request, mine)
    kind = forms.STEPS[name]
    form = kind(request.POST or None, initial=forms.stored_answers(mine, kind))
    leaving = request.POST.get("then") == "leave"
    if request.method == "POST" and (form.is_valid() or leaving) and _keeps(request, form):
        if leaving:
            return redirect(settings.LOGIN_REDIRECT_URL)
        return redirect("kyc:step", "submit" if "review" in request.GET else _after(name))
    return _ask(request, name, form)


def _keeps(request: HttpRequest, form: Any) -> bool:
    """Keep the answers; say whether they are kept, else the form says why not."""
    assert request.user.is_authenticated
    try:
        operations.save_draft(user=request.user, answers=forms.answers_in(form), now=clock.now())
    except DomainError as error:
        form.add_error(error.field if error.field in form.fields else None, error.detail)
        return False
    return True


def _submit(request: HttpRequest, mine: Any) -> HttpResponse:
    """Show all answers for a last look, and hand them in."""
    assert request.user.is_authenticated
    if mine is None or queries.missing_fields(mine):
        return redirect("kyc:step", _next_step(mine))
    form = forms.SubmitForm(request.POST or None)
    if form.is_valid():
        try:
            operations.submit(
                user=request.user,
                agreements=form.accepted,
                ip_address=request.META["REMOTE_ADDR"],
                now=clock.now(),
            )
        except DomainError as error:
            form.add_error(None, error.detail)
        else:
            return redirect("kyc:application")
    return _ask(request, "submit", form, application=mine)


def _ask(request: HttpRequest, name: str, form: Any, **more: Any) -> HttpResponse:
    steps = list(forms.STEPS)
    place = steps.index(name)
    page = {
        "form": form,
        "name": name,
        "steps": forms.NAMES,
        "current": place + 1,
        "before": steps[place - 1] if place else "",
        **more,
    }
    template = "kyc/application_submit.html" if name == "submit" else "kyc/application_answer.html"
    return render(request, template, page, status=422 if form.errors else 200)


def _next_step(mine: Any) -> str:
    return forms.first_open_step(queries.missing_fields(mine)) if mine else "name"


def _after(name: str) -> str:
    steps = list(forms.STEPS)
    return steps[steps.index(name) + 1]


@require_safe
def agreement(request: HttpRequest, document: str) -> HttpResponse:
    """Show an agreement in its present version, to anybody."""
    for one in rules.AGREEMENTS:
        if one.document == document:
            text = f"kyc/agreements/{one.document}-{one.version}.html"
            return render(request, "kyc/agreement_read.html", {"agreement": one, "text": text})
    raise Http404
