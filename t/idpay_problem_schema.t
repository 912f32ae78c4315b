#!/usr/bin/env perl

# What a problem document may be, and that the harness sees one that is not.

use strict;
use warnings;

use Compress::Zlib qw(memGzip);
use IO::Socket::IP;
use Mojo::JSON qw(encode_json false true);
use POSIX      qw(_exit);
use Socket     qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test2::API qw(intercept);
use Test::Idpay;
use Test::Idpay::Client qw(read_response);
use Test::Idpay::Load qw(load);
use Test::Idpay::Problem
    qw(keep_problem misfits schema_misfits unfit_problems);
use Test::More;

# what fits says nothing of the nginx that is tested with

plan skip_all => 'once is enough' if defined $ENV{IDPAY_MODULE};

my %every = (
    detail     => 'a sentence',
    provider   => 'plaid',
    outcome    => 'not_applied',
    attempts   => 0,
    request_id => '5d3c' x 8,
);

# Of each code: the title, who is at fault, whether to call again, the statuses.
my @both  = (false, true);
my %codes = (
    invalid_request => [ 'Invalid request', 'caller', [false],
        400, 405, 406, 411, 413, 414, 415 ],
    validation_failed => [ 'Validation failed', 'caller', [false], 422 ],
    request_failed    => [ 'Request failed',    'caller', [false], 402 ],
    permission_denied => [ 'Permission denied', 'credential', [false], 403 ],
    consent_required  => [ 'Consent required',  'caller', [false], 403 ],
    not_found         => [ 'Not found',         'caller', [false], 404 ],
    conflict          => [ 'Conflict',          'caller', [false], 409 ],
    rate_limited      => [ 'Rate limit reached', 'provider', [true], 429 ],
    request_rejected  => [ 'Request rejected by the gateway', 'caller',
        [false], 400, 403, 405 ],
    credential_rejected => [ 'Credential rejected by the provider',
        'credential', [false], 502 ],
    credential_unavailable => [ 'Credential unavailable', 'credential',
        [true], 503 ],
    provider_error       => [ 'Provider failed', 'provider', \@both, 502 ],
    provider_unavailable => [ 'Provider unavailable', 'provider', [true],
        503 ],
    provider_timeout => [ 'Provider timed out', 'provider', \@both, 504 ],
    gateway_error    => [ 'Gateway failed', 'gateway', [false], 500 ],
);


# A member given as undef is left out.
sub document {
    my ($code, %other) = @_;

    my ($title, $fault, $retryable, $status) = @{ $codes{$code} };
    my %document = (
        %every,
        type      => "urn:idpay:problem:$code",
        code      => $code,
        title     => $title,
        fault     => $fault,
        retryable => $retryable->[0],
        status    => $status,
        %other
    );
    return { map { $_ => $document{$_} }
            grep { defined $document{$_} } keys %document };
}


# Every code with every status, fault and hope there is: what is not in the
# table above is refused.
my %statuses = map { $_ => 1 } 200, 401, 408, 501,
    map { @$_[ 3 .. $#$_ ] } values %codes;

for my $code (sort keys %codes) {
    my (undef, $fault, $retryable, @may) = @{ $codes{$code} };

    my $may_be = sub {
        my ($member, @values) = @_;
        return grep { !schema_misfits(document($code, $member => $_)) } @values;
    };
    my @faults = $code eq 'rate_limited' ? ('gateway', 'provider') : ($fault);

    is_deeply [ $may_be->(status => sort { $a <=> $b } keys %statuses) ],
        \@may, "$code: its statuses";
    is_deeply [ $may_be->(fault => qw(caller credential gateway provider x)) ],
        \@faults, 'its faults';
    is_deeply [ $may_be->(retryable => @both) ], $retryable, 'its hope';
    is_deeply [ $may_be->(code => sort keys %codes) ], [$code], 'its type';
    is_deeply [ $may_be->(title => map { $_->[0] } values %codes) ],
        [ $codes{$code}[0] ], 'its title';
}


my %known = (
    retry_after         => 1,
    provider_status     => 100,
    provider_code       => 'x' x 128,
    provider_type       => "\x{e9}" x 128,
    provider_request_id => 'x',
    errors              => [
        { field => 'a', code => 'b', detail => 'c' },
        map { { field => 'a' } } 1 .. 31
    ],
    detail   => "\x{1f600}" x 1030,
    outcome  => 'unknown',
    attempts => 4,
);
is_deeply [ schema_misfits(document(rate_limited => %known)) ], [],
    'all there can be';
is_deeply [ schema_misfits(document(
    consent_required => consent_url => 'https://p.test/c')) ],
    [], 'where to consent';

my @refused = (
    (map { [ "no $_", $_ => undef ] } sort keys %{ document('conflict') }),
    [ 'an unknown member', trace => 'x' ],
    [ 'a code of its own', code => 'teapot',
        type => 'urn:idpay:problem:teapot' ],
    [ 'a status in quotes',   status => '409' ],
    [ 'no boolean',           retryable => 0 ],
    [ 'a detail too long',    detail => 'x' x 1031 ],
    [ 'a detail of nothing',  detail => '' ],
    [ 'a provider unnamed',   provider => '' ],
    [ 'another outcome',      outcome => 'passed' ],
    [ 'attempts below zero',  attempts => -1 ],
    [ 'half an attempt',      attempts => 1.5 ],
    [ 'no time to wait',      retry_after => 0 ],
    [ 'half a second',        retry_after => 1.5 ],
    [ 'a status too low',     provider_status => 99 ],
    [ 'a status too high',    provider_status => 1000 ],
    (map { ([ "an empty $_", $_ => '' ], [ "a long $_", $_ => 'x' x 129 ],
            [ "a $_ that is no string", $_ => 7 ]) }
        qw(provider_code provider_type provider_request_id)),
    [ 'no errors',             errors => [] ],
    [ 'too many errors',       errors => [ map { { field => 'a' } } 1 .. 33 ] ],
    [ 'errors of strings',     errors => ['a'] ],
    [ 'an error of no field',  errors => [ { code => 'a', detail => 'b' } ] ],
    [ 'an error of more',      errors => [ { field => 'a', value => 'b' } ] ],
    [ 'a field as a list',     errors => [ { field => ['a'] } ] ],
    (map {
        my $member = $_;
        map { [ "a $member of length " . length,
            errors => [ { field => 'a', $member => $_ } ] ] } '', 'x' x 1031
    } qw(field code detail)),
    [ 'consent, for nothing',  consent_url => 'https://p.test/c' ],
    [ 'an ID too short',       request_id => '5d3c' x 7 ],
    [ 'an ID in capitals',     request_id => '5D3C' x 8 ],
    [ 'an ID and a line feed', request_id => '5d3c' x 8 . "\n" ],
);
for (@refused) {
    my ($name, %other) = @$_;
    ok scalar schema_misfits(document(conflict => %other)), $name;
}
ok scalar schema_misfits($_), 'no document: ' . encode_json($_)
    for [], [ document('conflict') ], 'a', 7, undef, {};
ok scalar schema_misfits(document(request_rejected => @$_)), "@$_, never sent"
    for [ attempts => 1 ], [ outcome => 'unknown' ],
    [ provider_status => 400 ], [ provider_request_id => 'x' ];


# The answer around it.

sub answer {
    my ($document, %other) = @_;
    return {
        status      => $document->{status},
        retry_after => $document->{retry_after},
        body        => encode_json($document),
        %other
    };
}

my $good = document('rate_limited', retry_after => 3, attempts => 1);

is_deeply [ misfits(answer($good)) ], [], 'an answer that fits';
is_deeply [ misfits(answer($good, %{ $_->[0] })) ], $_->[1], $_->[2]
    for [ { status => 503 }, ['the status is 503, status is 429'],
        'another status' ],
    [ { retry_after => undef }, ['Retry-After is none, retry_after is 3'],
        'no Retry-After' ],
    [ { retry_after => 4 }, ['Retry-After is 4, retry_after is 3'],
        'another Retry-After' ];
is_deeply [ misfits(answer(document('conflict'), retry_after => 3)) ],
    ['Retry-After is 3, retry_after is none'], 'a Retry-After alone';
like +(misfits(answer($good, body => $_)))[0], qr/^no JSON: /, 'no JSON'
    for '', '{', encode_json($good) =~ s/sentence/\xff/r,
    encode_json($good) . '}';

my $zipped = answer($good, encoding => 'gzip');
like +(misfits($zipped))[0], qr/^no JSON: /, 'gzip that is none';
$zipped->{body} = memGzip($zipped->{body});
is_deeply [ misfits($zipped) ], [], 'gzip';


# What clients read, in whichever process, is seen.

sub message {
    my ($answer, $type) = @_;

    my $retry_after = $answer->{retry_after};
    return join "\r\n", "HTTP/1.1 $answer->{status} No",
        'Content-Type: ' . ($type // 'application/problem+json'),
        'Content-Length: ' . length $answer->{body},
        defined $retry_after ? "Retry-After: $retry_after" : (),
        '', $answer->{body};
}


sub read_from {
    my ($message, $method, %opt) = @_;

    socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!";
    syswrite $there, $message or die "write: $!";
    close $there;
    $here->blocking(0);
    return read_response($here, $method // 'GET', %opt);
}

my $bad = document('conflict', fault => 'gateway');

read_from(message(answer($good)));
read_from(message(answer($bad), 'application/json'));
read_from(message(answer($bad)), 'HEAD');
is_deeply [ unfit_problems() ], [], 'nothing to tell of';

read_from(message(answer($bad)));
read_from(message(answer({ %$bad, request_id => 'f' x 32 })));
is_deeply [ unfit_problems() ],
    [ "/fault: Does not match const: \"caller\".\n" . encode_json($bad) ],
    'a document is told of, once';

read_from(message(answer($bad)), GET => sink => sub { });
is scalar(() = unfit_problems()), 1, 'with a sink, and again';
read_from(substr message(answer($good)), 0, -1);
like +(unfit_problems())[0], qr/^no JSON: /, 'half of one';
read_from(message(answer($good)) =~ s/(?<=Retry-After: )3/0/r);
like +(unfit_problems())[0], qr/^Retry-After is 0, /, 'a header of zero';

my $chunked = message(answer($bad)) =~ s{Content-Length: \d+}
    {Transfer-Encoding: chunked}r =~ s{\r\n\r\n(.*)}
    {sprintf "\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n",
        substr($1, 0, 5), length($1) - 5, substr $1, 5}er;
read_from($chunked);
like +(unfit_problems())[0], qr/^\Q{\E.*\}\z/m, 'in chunks';


# One answer to each connection, until it is killed.
sub serve {
    my @messages = @_;

    my $socket = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 8)
        or die "listen: $@";
    my $pid = fork // die "fork: $!";
    return ($socket->sockport, $pid) if $pid;

    local $SIG{ALRM} = 'DEFAULT';
    alarm 60;
    for (my $i = 0; my $peer = $socket->accept; $i++) {
        sysread $peer, my $request, 65_536;
        syswrite $peer, $messages[ $i % @messages ];
        close $peer;
    }
    _exit(0);
}

my $t = Test::Idpay->new;
for my $message ($chunked, message(answer($bad)),
    message(answer($bad)) =~ s/Content-Length: \d+/X: y/r)
{
    my ($port, $pid)
        = serve(map {s/(?=\r\n\r\n)/\r\nConnection: close/r} $message);
    my $result = load($t, callers => 1, seconds => 0.1, port => $port);

    ok $result->{status}{409}, 'answers to a load';
    my @unfit = unfit_problems();
    is scalar @unfit, 1, 'are seen';
    like $unfit[0], qr/^\Q@{[ encode_json($bad) ]}\E\z/m, 'as they came';
    load($t, callers => 1, seconds => 0.1, port => $port, method => 'HEAD');
    is_deeply [ unfit_problems() ], [], 'a HEAD has none';

    kill KILL => $pid;
    waitpid $pid, 0;
}


# And the file fails.

my $pid = fork // die "fork: $!";
if (!$pid) {
    keep_problem(answer($bad));
    _exit(0);
}
waitpid $pid, 0;
keep_problem(answer($good));

my $events = intercept { $t->done };
my @failed = grep { !$_->pass } grep { $_->isa('Test2::Event::Ok') } @$events;
is_deeply [ map { $_->name } @failed ], ['every problem fits the schema'],
    'the test fails';
my ($diag) = grep {/conflict/} map { $_->message }
    grep { $_->isa('Test2::Event::Diag') } @$events;
like $diag, qr{^/fault: .*\n\{.*\}$}, 'and tells why';
is scalar(() = $diag =~ /\{/g), 1, 'no more than that';

done_testing;
