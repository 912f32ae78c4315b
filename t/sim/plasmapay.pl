#!/usr/bin/env perl

# PlasmaPay Business API below /business/api/v1/public: ping and invoices.
# The credential may come as a bearer token or, as the vendor allows, in the
# argument apiKey; a test shows that a caller's apiKey never gets here.
# act: {"id" (extId), "status"}

use Mojo::Base -strict, -signatures;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Idpay::Sim;
use Mojo::Util qw(sha1_sum);

my $base = '/business/api/v1/public';
my (%invoices, @order);

my @statuses = qw(new pending success failed canceled deleted);
my @required = qw(currencyCode amount merchantId description accountId);
my @optional = qw(successUri failureUri metadata email phone);


sub problem ($status, $message) {
    return {
        status => $status,
        json   => { code => "$status", message => $message },
    };
}


sub authenticated ($sim, $r) {
    my @bearer = $r->header('Authorization');
    my @keys   = $r->arg('apiKey');

    return 0 if @bearer > 1;
    return 1
        if @bearer
        && $bearer[0] =~ /^Bearer (\S+)$/
        && $sim->accepts(plasmapay_api_key => $1);
    return $sim->accepts(plasmapay_api_key => @keys);
}


# An amount has up to 18 + 18 digits: it is taken from the text as it stands.
sub exact_amount ($text) {
    return $text =~ /"amount"\s*:\s*"?([0-9]+(?:\.[0-9]+)?)/ ? $1 : undef;
}


sub create ($r) {
    my $body = length $r->body ? $r->json : {};
    return problem(400, 'Malformed request') if ref $body ne 'HASH';

    # The vendor reads parameters of the query too.
    my %in = (map({ $_->[0] => $_->[1] } @{ $r->args }), %$body);
    $in{amount} = exact_amount($r->body) // $in{amount};

    for (@required) {
        return problem(422, "$_ is required") if !length($in{$_} // '');
    }
    return problem(422, 'amount must be a number')
        if $in{amount} !~ /^[0-9]+(?:\.[0-9]+)?$/;

    my $number = @order + 1;
    my $id     = sprintf 'inv_%08d', $number;

    $invoices{$id} = {
        (map { defined $in{$_} ? ($_ => $in{$_}) : () } @required, @optional),
        id        => sha1_sum("invoice $number"),
        status    => 'new',
        extId     => $id,
        createdAt => '2020-03-27T10:00:00.000Z',
        link      => "https://app.plasmapay.com$base/pay-invoice/$id",
    };
    push @order, $id;
    return { status => 200, json => $invoices{$id} };
}


sub list ($r) {
    my $status = $r->arg('status');
    my $offset = $r->arg('offset') // 0;
    my $limit  = $r->arg('limit')  // 100;

    return problem(422, 'limit and offset are numbers')
        if grep { !/^\d+$/ } $limit, $offset;
    return problem(422, 'no such status')
        if defined $status && !grep { $_ eq $status } @statuses;

    my @found = grep {
        defined $status
            ? $_->{status} eq $status
            : $_->{status} ne 'deleted'
    } map { $invoices{$_} } @order;
    my @page = splice @{ [@found] }, $offset < @found ? $offset : scalar @found,
        $limit;

    return { json => { result => \@page, meta => { total => scalar @found } } };
}


sub handle ($sim, $r) {
    return problem(401, 'Your API key is incorrect')
        if !authenticated($sim, $r);

    my $read = $r->method =~ /^(?:GET|HEAD)$/;
    my $path = $r->path;

    return { json => { message => 'pong ;)' } }
        if $path eq "$base/ping" && $read;

    if ($path eq "$base/invoices") {
        return list($r)   if $read;
        return create($r) if $r->method eq 'POST';
        return problem(400, 'Malformed request');
    }

    my ($id) = $path =~ m{^\Q$base\E/invoices/([^/]+)$}
        or return problem(404, 'The specified resource could not be found');
    my $invoice = $invoices{$id};

    return problem(404, 'The specified resource could not be found')
        if !$invoice || $invoice->{status} eq 'deleted';

    return { json => $invoice } if $read;
    return problem(400, 'Malformed request') if $r->method ne 'DELETE';

    $invoice->{status} = 'deleted';
    return {
        json => { message => 'Invoice successfully removed', status => 200 }
    };
}


sub act ($sim, $what) {
    my $invoice = $invoices{ $what->{id} } or die "no invoice $what->{id}\n";

    die "no status $what->{status}\n"
        if !grep { $_ eq $what->{status} } @statuses;
    $invoice->{status} = $what->{status};
    return $invoice;
}


Idpay::Sim->run(
    handler => \&handle,
    act     => \&act,
);
