package Test::Idpay::Translation;

# A provider's error and the problem that it becomes, in tables of them.
#
#   is_translated($t, $sim, \@call, $status, $body, $code, %told)
#                    makes the call, which the simulator answers with that
#                    status, body (a reference: as JSON) and headers that are
#                    not for the caller; a subtest that the answer is a problem
#                    of that code, and no more than that. Returns the answer.
#                    \@call: a method, a URI, whether it may be made twice, a
#                    body. %told: the members that do not follow from all
#                    these; without a detail it is a sentence of the gateway's
#                    own. Also in %told: again (yes, safe, no), whether to call
#                    again where the code alone does not tell; as, the status
#                    that the body tells; retry_after, the provider's; head, a
#                    reference to more headers of the provider; sent, one to
#                    names of more headers of the answer
#   is_problem($r, $name, $status, $code, %expected)
#                    the answer is a problem of that status and code, with these
#                    members
#   status_of($code)   the status of a problem of that code

use strict;
use warnings;

use Exporter   qw(import);
use Mojo::JSON qw(false true);
use Test::More;

our @EXPORT_OK = qw(is_problem is_translated status_of);

# Of each code: the status, whose move it is, whether to call again.
my %codes = (
    invalid_request      => [ 400, 'caller',     'no' ],
    validation_failed    => [ 422, 'caller',     'no' ],
    request_failed       => [ 402, 'caller',     'no' ],
    permission_denied    => [ 403, 'credential', 'no' ],
    consent_required     => [ 403, 'caller',     'no' ],
    not_found            => [ 404, 'caller',     'no' ],
    conflict             => [ 409, 'caller',     'no' ],
    rate_limited         => [ 429, 'provider',   'yes' ],
    credential_rejected  => [ 502, 'credential', 'no' ],
    provider_error       => [ 502, 'provider',   'safe' ],
    provider_unavailable => [ 503, 'provider',   'yes' ],
);

# What an answer has beside its body. None of it is for the caller.
my @head = (
    [ 'WWW-Authenticate', 'Bearer realm="api"' ],
    [ 'Set-Cookie',       'session=1' ],
    [ 'X-Powered-By',     'Express' ],
    [ 'X-Request-Id',     'of-another' ],
    [ 'Content-Language', 'en' ],
    [ 'ETag',             '"1"' ],
    [ 'Location',         'https://api.test/login' ],
);
my @sent = qw(connection content-length content-type date server);
my @type = ([ 'Content-Type', 'application/json' ]);


# What somebody has written for others to read.
sub sentences {
    my $data = shift;

    return map { sentences($_) } values %$data if ref $data eq 'HASH';
    return map { sentences($_) } @$data        if ref $data eq 'ARRAY';
    return grep { defined && /\w \w/ } $data;
}


sub status_of {
    my $code = shift;
    return $codes{$code}[0];
}


sub is_translated {
    my ($t, $sim, $call, $answered, $body, $code, %told) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($method, $uri, $safe, $content) = @$call;
    my ($status, $fault, $again) = @{ $codes{$code} };
    my $failed = (delete $told{as} // $answered) >= 500
        || $code =~ /^provider_/;
    my $after  = delete $told{retry_after};
    my @theirs = (@head, @{ delete $told{head} // [] });
    my @ours   = (@sent, @{ delete $told{sent} // [] });

    $again = delete $told{again} // $again;
    $again = $again eq 'yes' || $again eq 'safe' && $safe;
    if ($after && $again) {
        $told{retry_after} = $after;
        push @ours, 'retry-after';
    }

    $sim->behave->misbehave(
        status  => $answered,
        headers => \@theirs,
        $after ? (retry_after => $after) : (),
        ref $body ? (json => $body) : (body => $body // ''),
    );
    my $r = $t->http($method, $uri,
        defined $content ? (body => $content, headers => [@type]) : ());
    my $problem = $r->json;

    subtest "$answered $code, $method $uri" => sub {
        is $r->status, $told{status} // $status, 'the status';
        is_deeply [ sort map { lc $_->[0] } $r->headers ], [ sort @ours ],
            'no header of the provider';

        like delete $problem->{detail}, qr/^the \S+ \w.*\w$/, 'a sentence'
            if !defined $told{detail};
        delete @$problem{qw(type title request_id)};
        is_deeply $problem, {
            attempts        => 1,
            code            => $code,
            fault           => $fault,
            outcome         => $failed && !$safe ? 'unknown' : 'not_applied',
            provider        => $sim->name,
            provider_status => $answered,
            retryable       => $again ? true : false,
            status          => $status,
            %told
        }, 'all that is told' or diag $r->body;

        my %shown = map { $_ => 1 } sentences(\%told);
        is index($r->body, $_), -1, "not told: $_"
            for grep { !$shown{$_} } sentences($body);
    };
    return $r;
}


sub is_problem {
    my ($r, $name, $status, $code, %expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply
        [ $r->status, $r->header('Content-Type'),
            @{ $r->json }{ 'code', keys %expected } ],
        [ $status, 'application/problem+json', $code, values %expected ],
        $name;
}


1;
