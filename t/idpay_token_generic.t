#!/usr/bin/env perl

# "idpay_auth oauth2": what a token endpoint is sent and what its answers mean,
# the token on the way to the provider, and that nobody is told what is secret.

use strict;
use warnings;

use Digest::SHA   qw(sha256_hex);
use Idpay::Filler qw(filler);
use MIME::Base64  qw(decode_base64 encode_base64);
use Test::Idpay;
use Test::Idpay::Gopay   qw(token_requests forget_requests);
use Test::Idpay::Logs    qw(forms_of);
use Test::Idpay::Process qw(wait_until);
use Test::More;

# Seconds between a token request and its answer, on a busy machine.
use constant LATE => 10;

my $t = Test::Idpay->new;

# Both have what is reserved in a form, in Basic and in JSON.
my $id     = 'client:id/1 +%41&x=y';
my $secret = 's3cret:/?#[]@ +%2F&="\\~!';
$t->secret(special_id     => value => $id);
$t->secret(special_secret => value => $secret);

my $sim     = $t->sim('gopay');
my $special = $t->sim('gopay', name => 'special',
    expect => { gopay_client_id => $id, gopay_client_secret => $secret });
my $plain = $t->sim('gopay', name => 'plain', tls => 0);
my $other = $t->sim('generic', name => 'other');
$special->act(basic_encoded => 1);

# Name of a provider => [simulator, arguments of oauth2, more]. The secrets are
# those of the simulator.
my %provider = (
    path   => [ gopay => 'token_url=/oauth2/token scope=payment-all' ],
    query  => [ gopay => 'token_url=/oauth2/token?a=1&b=%20' ],
    url    => [ gopay => 'token_url=https://gopay.test/oauth2/token' ],
    upper  => [ gopay => 'token_url=HTTPS://GoPay.Test/oauth2/token' ],
    post   => [ gopay => 'client_auth=post token_url=/oauth2/token '
        . '"scope=payment-create payment-all"' ],
    params => [ gopay => 'token_url=/oauth2/token '
        . '"param=audience:https://api.test/a?b=c&d" param=a+b:1:2 '
        . '"param=t:x y+z%20" client_auth=basic' ],
    away     => [ other => 'token_url=http://%%SIM_plain%%/oauth2/token' ],
    stranger => [ other => 'token_url=https://%%SIM_gopay%%/oauth2/token' ],
    special      => [ special => 'token_url=/oauth2/token' ],
    special_post => [ special => 'token_url=/oauth2/token client_auth=post' ],
    scope  => [ gopay => 'token_url=/oauth2/token scope=everything' ],
    client => [ special => 'token_url=/oauth2/token' ],
    unauthorized => [ gopay => 'token_url=/oauth2/token' ],
    used   => [ gopay => 'token_url=/oauth2/token' ],
    absent => [ gopay => 'token_url=/no/token' ],
    leak   => [ gopay => 'token_url=/oauth2/token' ],
    ca     => [ gopay => 'token_url=/oauth2/token',
        'idpay_trusted_certificate certs/ca.pem;' ],
);

# [expires_in, seconds that the token is taken to live]
my $week = 7 * 24 * 3600;
my @lives = (
    [ own => 1800 ], [ absent => 1800 ], [ fractional => 1800 ],
    [ 900 => 900 ], [ '"900"' => 900 ], [ '9e2' => 900 ],
    [ 0 => 60 ], [ -900 => 60 ], [ 59 => 60 ],
    [ 604_801 => $week ], [ '1e300' => $week ],
    [ '18446744073709551617' => $week ],
    [ '"soon"' => 1800 ], [ 'null' => 1800 ], [ 'true' => 1800 ],
    [ '[900]' => 1800 ], [ '""' => 1800 ],
);

# [answer of the token endpoint, code]
my @answers = (
    [ 200, '{"access_token":"TOKEN"}', undef ],
    [ 200, '{"access_token":"TOKEN","token_type":"Bearer"}', undef ],
    [ 200, '{"access_token":"TOKEN","token_type":"BEARER"}', undef ],
    [ 201, '{"access_token":"TOKEN","token_type":"bearer","x":[1]}', undef ],
    [ 200, '{"access_token":"TOKEN","token_type":"mac"}', 'unavailable' ],
    [ 200, '{"access_token":"TOKEN","token_type":["bearer"]}', 'unavailable' ],
    [ 200, '{"accessToken":"TOKEN"}',           'unavailable' ],
    [ 200, '{"token_type":"bearer"}',           'unavailable' ],
    [ 200, '{"error":"invalid_client"}',        'unavailable' ],
    [ 400, '{"error":"invalid_client"}',        'rejected' ],
    [ 401, '{"error":"invalid_client"}',        'rejected' ],
    [ 400, '{"error":"invalid_scope"}',         'rejected' ],
    [ 400, '{"error":"unauthorized_client"}',   'rejected' ],
    [ 400, '{"error":"unsupported_grant_type"}', 'rejected' ],
    [ 400, '{"error":"invalid_request"}',       'rejected' ],
    [ 400, '{"error":"temporarily_unavailable"}', 'unavailable' ],
    [ 400, '{"error":"server_error"}',            'unavailable' ],
    [ 503, '{"error":"invalid_client"}',          'unavailable' ],
);
my $token = $t->canary('token-of-a-strange-answer~1');
$_->[1] =~ s/TOKEN/$token/ for @answers;

$provider{"life$_"}   = [ gopay => 'token_url=/oauth2/token' ] for 0 .. $#lives;
$provider{"answer$_"} = [ gopay => 'token_url=/oauth2/token' ]
    for 0 .. $#answers;


sub upstream {
    my $name = shift;

    my ($of, $arguments, $more) = @{ $provider{$name} };
    $more //= '';
    my $host = $of eq 'other' ? 'generic.test' : 'gopay.test';
    my ($client_id, $client_secret)
        = $of eq 'special'
        ? qw(special_id special_secret)
        : qw(gopay_client_id gopay_client_secret);

    return <<"CONF";
    upstream $name {
        server          %%SIM_$of%%;
        keepalive       4;
        idpay_provider  generic;
        idpay_host      $host;
        idpay_auth      oauth2 $arguments;
        idpay_secret    client_id     file:%%SECRET_$client_id%%;
        idpay_secret    client_secret file:%%SECRET_$client_secret%%;
        $more
        %%UNLIMITED%%
    }
CONF
}


my $conf = <<'CONF'
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format generic '$uri $status $idpay_attempts $idpay_credential '
        '<$http_authorization> <$upstream_http_www_authenticate> '
        '<$upstream_http_x_echo>';
    access_log %%TESTDIR%%/generic.log generic;

    idpay_trusted_certificate %%CA%%;
CONF
    . join('', map { upstream($_) } sort keys %provider) . <<'CONF'
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /passed/ { idpay_errors off; idpay_pass special/; }
CONF
    . join('', map {"        location /$_/ { idpay_pass $_/; }\n"}
        sort keys %provider) . "    }\n}\n";
$t->config($conf);
$t->run;


# The token requests of a simulator, and the calls.
sub tokens_of {
    return grep { $_->{target} =~ m{/token(?:\?|$)} } @{ $_[0]->requests };
}
sub calls_of { return grep { $_->{target} =~ m{^/api/} } @{ $_[0]->requests } }


# A good call, with the token that was given last; returns the token request.
sub passes {
    my ($name, $from, $to) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $from //= $sim;
    $to   //= $from;
    $_->clear for $from, $to;
    is $t->get("/$name/api/payments/1", headers => [
        [ Authorization => 'Bearer of-the-caller' ],
    ])->status, 200, "$name: a call passes";

    my @asked = tokens_of($from);
    my @made  = calls_of($to);
    is scalar @asked, 1, "$name: one token request";
    is_deeply [ map { $to->header($_, 'Authorization') } @made ],
        ["Bearer @{[ given($from) ]}"], "$name: with that token";
    return $asked[0];
}


sub given {
    my ($last) = grep { $_->{kind} eq 'bearer' }
        reverse @{ $_[0]->act(do => 'issued') };
    return $last->{token};
}


# That the log has such a line of a provider: it is written after the answer.
sub is_logged {
    my ($name, $re) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $found = wait_until(20, sub {
        grep { m{^/$name/} && $_ =~ $re } split /\n/, $t->read('generic.log');
    });
    ok $found, 'the log tells it';
    return;
}


subtest 'the token request' => sub {
    my ($client, $key)
        = map { $t->secret_value($_) } qw(gopay_client_id gopay_client_secret);
    my $basic = 'Basic ' . encode_base64("$client:$key", '');

    my $request = passes('path');
    is "$request->{method} $request->{target}", 'POST /oauth2/token',
        'to a path at the provider';
    is $request->{body}, 'grant_type=client_credentials&scope=payment-all',
        'with the scope';
    my %header = (
        'Host'              => ['gopay.test'],
        'Authorization'     => [$basic],
        'Accept'            => ['application/json'],
        'Content-Type'      => ['application/x-www-form-urlencoded'],
        'Content-Length'    => [ length $request->{body} ],
        'Transfer-Encoding' => [],
        'Expect'            => [],
        'Cookie'            => [],
    );
    is_deeply [ $sim->header($request, $_) ], $header{$_}, "header $_"
        for sort keys %header;
    is_logged('path', qr{ 200 1 application/primary/1 });

    is passes('query')->{target}, '/oauth2/token?a=1&b=%20', 'with arguments';

    for my $name (qw(url upper)) {
        $request = passes($name);
        is "$request->{method} $request->{target}", 'POST /oauth2/token',
            "$name: to the provider's own name";
        is $request->{body}, 'grant_type=client_credentials', 'without scope';
        is_deeply [ $sim->header($request, 'Host') ], ['gopay.test'],
            'of that name';
    }

    $request = passes('post');
    is_deeply [ $sim->header($request, 'Authorization') ], [], 'no Basic';
    is_deeply [ sort split /&/, $request->{body} ], [
        "client_id=$client", "client_secret=$key",
        'grant_type=client_credentials', 'scope=payment-create%20payment-all'
        ], 'but the form';

    $request = passes('params');
    is_deeply [ $sim->header($request, 'Authorization') ], [$basic], 'Basic';
    is_deeply [ sort split /&/, $request->{body} ], [
        'a%2Bb=1%3A2',
        'audience=https%3A%2F%2Fapi.test%2Fa%3Fb%3Dc%26d',
        'grant_type=client_credentials', 't=x%20y%2Bz%2520'
        ], 'each parameter is encoded';
};


subtest 'reserved characters in the client' => sub {
    my $request = passes('special', $special);
    my ($basic) = $special->header($request, 'Authorization');
    my ($user, $password, @more)
        = split /:/, decode_base64($basic =~ s/^Basic //r);
    is_deeply [ $user, $password, @more ], [
        'client%3Aid%2F1%20%2B%2541%26x%3Dy',
        's3cret%3A%2F%3F%23%5B%5D%40%20%2B%252F%26%3D%22%5C~%21'
        ], 'each part is encoded';

    $request = passes('special_post', $special);
    like $request->{body}, qr/&client_id=client%3Aid%2F1%20%2B%2541%26x%3Dy&/,
        'in a form as well';
};


subtest 'CAs from a relative path' => sub { passes('ca') };


subtest 'an endpoint elsewhere' => sub {
    my $request = passes('away', $plain, $other);
    is_deeply [ $plain->header($request, 'Host') ], [ $plain->address ],
        'is called by its name';

    $sim->clear;
    my $bytes = $sim->bytes;
    is $t->get('/stranger/api/1')->json->{code}, 'credential_unavailable',
        'one with another certificate gives no token';
    is $sim->bytes, $bytes, 'nothing was said to it';
};


subtest 'how long a token lives' => sub {
    for my $n (0 .. $#lives) {
        my ($expires_in, $life) = @{ $lives[$n] };

        $sim->act(expires_in => "$expires_in");
        passes("life$n");
        my ($told) = $t->error_log =~ /\[info\].* new\ application\ token\ of
            \ "life$n",\ generation\ 1,\ for\ (\d+)\ s$/mx;
        ok $told && $told <= $life && $told >= $life - LATE,
            "expires_in $expires_in: $life s" or diag $told // 'not logged';
    }
    $sim->act(expires_in => 'own');
};


subtest 'answers of the token endpoint' => sub {
    my %status = (unavailable => 503, rejected => 502);

    for my $n (0 .. $#answers) {
        my ($status, $body, $code) = @{ $answers[$n] };
        my $name = "$status $body";

        $sim->behave->clear;
        $sim->misbehave(match => 'oauth2', status => $status, body => $body);
        $sim->misbehave(match => 'api', status => 200, body => 'good');
        my $r = $t->get("/answer$n/api/1");

        if (!defined $code) {
            is $r->body, 'good', $name;
            is_deeply [ map { $sim->header($_, 'Authorization') }
                    calls_of($sim) ], ["Bearer $token"], 'its token is used';
            next;
        }
        is_deeply [ $r->status, @{ $r->json }{qw(code outcome attempts)} ],
            [ $status{$code}, "credential_$code", 'not_applied', 0 ], $name;
        is scalar calls_of($sim), 0, 'no call was made';
    }
    $sim->behave;

    is $t->get('/scope/api/1')->json->{code}, 'credential_rejected',
        'a scope that is not known';
    $t->expect_log(qr/no token of "scope": .* 400, invalid_scope$/,
        'the log tells it');
    is $t->get('/absent/api/1')->json->{code}, 'credential_unavailable',
        'a path that is not known';

    $special->expect(gopay_client_secret => 'another-secret');
    is $t->get('/client/api/1')->json->{code}, 'credential_rejected',
        'a client that is not known';
    $t->expect_log(qr/no token of "client": .* invalid_client$/,
        'the log tells it');
    $special->expect(gopay_client_secret => $secret);
};


subtest 'a token that is used up' => sub {
    $sim->act(refuse => { resource => { status => 401, shape => 'v3' } });
    passes('used');
    $sim->act(do => 'expire', kind => 'bearer');
    forget_requests($sim);
    $sim->clear;

    my $body = filler(0, 300_000);
    my $r = $t->post('/used/api/payments', $body);
    is $r->status, 200, 'the call passes';
    is $r->json->{body_sha256}, sha256_hex($body), 'with its body';
    is_deeply token_requests($sim), { bearer => { ok => 1 } }, 'a new token';

    my @calls = calls_of($sim);
    is_deeply [ map { $_->{body_sha256} } @calls ],
        [ (sha256_hex($body)) x 2 ], 'the call was made twice, each whole';
    my @sent = map { $sim->header($_, 'Authorization') } @calls;
    isnt $sent[0], $sent[1], 'with two tokens';
    is $sent[1], 'Bearer ' . given($sim), 'the last one is new';
    is_logged('used', qr{ 200 2 application/primary/2 });

    # and what no new token makes better
    $sim->misbehave(match => '^/api/', status => 401, times => -1);
    $r = $t->get('/used/api/1');
    is_deeply [ @{ $r->json }{qw(code attempts provider_status)} ],
        [ 'credential_rejected', 2, 401 ], 'a new one that is refused';
    is_deeply token_requests($sim), { bearer => { ok => 2 } }, 'one new token';
    is $t->get('/used/api/1')->json->{attempts}, 1, 'and no other';
    is_deeply token_requests($sim), { bearer => { ok => 2 } }, 'at once';

    forget_requests($sim);
    $sim->behave->misbehave(match => '^/api/', status => 403, times => -1);
    $r = $t->get('/path/api/1');
    is_deeply [ @{ $r->json }{qw(code attempts provider_status)} ],
        [ 'permission_denied', 1, 403 ], 'a 403 is not about the token';
    is_deeply token_requests($sim), {}, 'no new token';
    $sim->behave;
};


subtest 'an echo' => sub {
    $special->behave->clear;
    is $t->get('/special/api/1')->status, 200, 'a call passes';
    my ($sent) = $special->header($special->last_request, 'Authorization');
    my $bearer = $sent =~ s/^Bearer //r;

    my $percent = sub {
        return $_[0] =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger;
    };
    my ($id_sent, $secret_sent) = map { $percent->($_) } $id, $secret;
    my $quoted = $secret =~ s/(["\\])/\\$1/gr;

    # [what, how, answers with these statuses]
    my @api   = (400, 403, 404, 500);
    my @forms = (
        [ 'the token',           $bearer, @api ],
        [ 'the header',          $sent, @api ],
        [ 'the token in base64', encode_base64($bearer, ''), @api ],
        [ 'the header in base64', encode_base64($sent, ''), @api ],
        [ 'the secret',          $secret, @api ],
        [ 'the secret in JSON',  $quoted, @api ],
        [ 'the secret, percent-encoded', $secret_sent, @api ],
        [ 'the same in lower case',
            $secret_sent =~ s/(%..)/\L$1/gr, @api ],
        [ 'the secret in base64', encode_base64($secret, ''), @api, 401 ],
        [ 'the pair in base64', encode_base64("$id:$secret", ''), @api, 401 ],
        [ 'the pair as it is sent',
            encode_base64("$id_sent:$secret_sent", ''), @api, 401 ],
    );
    my @never = ($quoted, map { forms_of($_) } $bearer, $secret, $secret_sent);

    for (@forms) {
        my ($name, $text, @statuses) = @$_;

        for my $status (@statuses) {
            for my $at ('special', 'passed') {
                $special->behave->misbehave(
                    match   => '^/api/',
                    status  => $status,
                    times   => 2,
                    body    => qq({"message":"no $text here"}),
                    headers => [
                        [ 'Content-Type',     'application/json' ],
                        [ 'X-Echo',           $text ],
                        [ 'WWW-Authenticate', qq(Bearer error="$text") ],
                    ],
                );
                my $r   = $t->get("/$at/api/echo");
                my $all = $r->raw . $r->body;
                cmp_ok $r->status, '>=', 400, "$name: $status, $at";
                is_deeply [ grep { index($all, $_) >= 0 } @never ], [],
                    'is not told' or diag $all;
            }
        }
    }
    $special->behave;
    $t->canary($bearer);
};


# What a token endpoint says of an error may be anything.
subtest 'a token endpoint that echoes' => sub {
    my $key = $t->secret_value('gopay_client_secret');
    $sim->behave->misbehave(match => 'oauth2', status => 400,
        body => qq({"error":"$key","error_description":"$key"}));
    my $r = $t->get('/leak/api/1');
    is $r->json->{code}, 'credential_rejected', 'is no token';
    unlike $r->raw . $r->body, qr/\Q$key\E/, 'the caller is not told';
    $t->expect_log(qr/no token of "leak": the provider answered 400/,
        'the log tells it, without the secret');
};


# nginx writes down more then, but what it sends.
subtest 'the level debug' => sub {
    $t->quit;
    local $ENV{TEST_NGINX_LOGLEVEL} = 'debug';
    $t->config($conf);
    $t->run;

    for my $name (qw(path post params special special_post away)) {
        my ($of) = @{ $provider{$name} };
        my %from = (gopay => $sim, special => $special, other => $plain);
        passes($name, $from{$of}, $of eq 'other' ? $other : ());
    }
    $sim->act(do => 'expire', kind => 'bearer');
    is $t->get('/path/api/1')->status, 200, 'with a new token';
    is_logged('path', qr{ 200 2 application/primary/2 });
};

for my $any ($sim, $special, $plain) {
    $t->canary($_->{token}) for @{ $any->act(do => 'issued') };
}
done_testing;
