#!/usr/bin/env perl

# PlusID Service Provider API: requests that a person authorizes. The document
# gives the states and the meaning of the statuses; paths and member names
# are this simulator's own where the document has none.
#
#   POST   /v1/requests              GET /v1/requests/ID
#   GET    /v1/requests              PATCH, PUT /v1/requests/ID
#   POST   /v1/requests/ID/cancel
# act: {"id", "do": "authorize" | "reject" | "expire" | "refund" | "fail"}

use Mojo::Base -strict, -signatures;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Idpay::Sim;

my (%requests, $last);

# What may follow a state.
my %next = (
    template => [qw(expired)],
    created  => [qw(expired cancelled authorized rejected)],
    authorized                => [qw(preAuthorizationDebited paid failed)],
    preAuthorizationDebited   => [qw(payUpdated preAuthorizationCancelled)],
    preAuthorizationCancelled => [qw(cancelled)],
    payUpdated                => [qw(failed paid)],
    paid                      => [qw(refunded)],
);

my %act = (
    authorize => [qw(authorized)],
    reject    => [qw(rejected)],
    expire    => [qw(expired)],
    refund    => [qw(refunded)],
    fail      => [qw(failed)],
);


sub problem ($status, $code, $message) {
    my %body = (code => $code, message => $message);
    return { status => $status, json => \%body };
}


sub move ($request, @states) {
    for my $state (@states) {
        my $next = $next{ $request->{status} } // [];
        return 0 if !grep { $_ eq $state } @$next;
        $request->{status} = $state;
        push @{ $request->{history} }, $state;
    }
    return 1;
}


# What PlusID does by itself once the person has authorized.
sub settle ($request) {
    my $pay = $request->{pay} or return;
    move($request, $pay->{preAuthorized} ? 'preAuthorizationDebited' : 'paid');
    return;
}


sub create ($body) {
    my @parts = qw(pay data customItems);

    return problem(400, 'missing_parameter', "expected: one of @parts")
        if ref $body ne 'HASH' || !grep { $body->{$_} } @parts;

    my $id     = sprintf 'req_%012d', ++$last;
    my $status = $body->{template} ? 'template' : 'created';

    $requests{$id} = {
        %$body,
        id      => $id,
        status  => $status,
        history => [$status],
        url     => "https://plusid.test/r/$id",
    };
    return { status => 200, json => $requests{$id} };
}


sub update ($request, $body) {
    my $pay = ref $body eq 'HASH' && $body->{pay};

    return problem(400, 'missing_parameter', 'expected: pay')
        if ref $pay ne 'HASH';
    return problem(409, 'conflict', "the request is $request->{status}")
        if $request->{status} ne 'preAuthorizationDebited';
    return problem(402, 'total_too_high', 'totalGross is more than authorized')
        if $pay->{totalGross} > $request->{pay}{totalGross};

    $request->{pay} = { %{ $request->{pay} }, %$pay };
    move($request, qw(payUpdated paid));
    return { json => $request };
}


sub cancel ($request) {
    my @states
        = $request->{status} eq 'preAuthorizationDebited'
        ? qw(preAuthorizationCancelled cancelled)
        : qw(cancelled);

    return problem(409, 'conflict', "the request is $request->{status}")
        if !move($request, @states);
    return { json => $request };
}


sub handle ($sim, $r) {
    return problem(401, 'unauthorized', 'No valid API key provided')
        if !$sim->accepts(plusid_api_key => $r->header('X-API-Key'));

    my ($id, $verb) = $r->path =~ m{^/v1/requests(?:/([^/]+)(?:/(cancel))?)?$}
        or return problem(404, 'not_found', 'no such resource');
    my $method = $r->method;

    if (!defined $id) {
        return create($r->json) if $method eq 'POST';
        return problem(405, 'method', 'GET or POST expected')
            if $method !~ /^(?:GET|HEAD)$/;

        my @all = map { $requests{$_} } sort keys %requests;
        return { json => { items => \@all, total => scalar @all } };
    }

    my $request = $requests{$id}
        or return problem(404, 'not_found', "no request $id");

    return cancel($request) if $verb && $method eq 'POST';
    return problem(405, 'method', 'POST expected') if $verb;
    return update($request, $r->json) if $method =~ /^(?:PUT|PATCH)$/;
    return { json => $request } if $method =~ /^(?:GET|HEAD)$/;
    return problem(405, 'method', 'GET, PUT or PATCH expected');
}


sub act ($sim, $what) {
    my $request = $requests{ $what->{id} } or die "no request $what->{id}\n";
    my $states  = $act{ $what->{do} }      or die "cannot $what->{do}\n";

    move($request, @$states) or die "cannot $what->{do} now\n";
    settle($request) if $what->{do} eq 'authorize';
    return $request;
}


Idpay::Sim->run(
    handler => \&handle,
    act     => \&act,
);
