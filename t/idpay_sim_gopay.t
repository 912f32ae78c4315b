#!/usr/bin/env perl

# The simulator of GoPay: its tokens rotate, expire by a clock that a test
# moves, and are spent even when the answer is lost; it keeps account of who
# asked for what. No nginx here.

use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Mojo::JSON   qw(encode_json);
use Mojo::Util   qw(b64_decode url_escape);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $t      = Test::Idpay->new;
my $sim    = $t->sim('gopay', tls => 0);
my $id     = $t->secret_value('gopay_client_id');
my $secret = $t->secret_value('gopay_client_secret');


sub call {
    my ($method, $uri, %opt) = @_;
    return $t->http($method, $uri, port => $sim->port, %opt);
}


sub basic { return 'Basic ' . encode_base64(join(':', @_), '') }


sub login {
    my ($credentials) = @_;
    return call(GET => '/v1/auth/login/app',
        headers => [ [ Authorization => $credentials // basic($id, $secret) ] ]
    );
}


sub post_form {
    my ($uri, $form, %opt) = @_;

    my $body = ref $form
        ? join '&', map { "$_=" . url_escape($form->{$_}) } sort keys %$form
        : $form;
    return call(
        POST => $uri,
        %opt,
        body    => $body,
        headers => [
            [ 'Content-Type', $opt{type} // 'application/x-www-form-urlencoded'
            ],
            @{ $opt{headers} // [] },
        ],
    );
}


sub token_call {
    my ($form, %opt) = @_;
    return post_form('/v1/auth/token',
        { client_id => $id, client_secret => $secret, %$form }, %opt);
}


sub redeem {
    my ($code, %more) = @_;
    return token_call({
        grant_type => 'authorization_code',
        code       => $code,
        %more
    });
}


sub refresh {
    my ($token, %opt) = @_;
    return token_call(
        { grant_type => 'refresh_token', refresh_token => $token }, %opt);
}


sub revoke {
    my (%form) = @_;
    return post_form('/v1/auth/revoke',
        { client_id => $id, client_secret => $secret, %form });
}


sub bearer_call {
    my ($form, @headers) = @_;
    return post_form('/oauth2/token', $form, headers => \@headers);
}


sub resource {
    my ($token, $method, $uri, %opt) = @_;
    return call(
        $method, $uri, %opt,
        headers => [
            [ Authorization => "Bearer $token" ], @{ $opt{headers} // [] }
        ],
    );
}


sub data_uri { return "/v1/client/client-profile/$_[0]/identification-$_[1]" }


sub status_call {
    my ($token, $profile) = @_;
    return resource($token, GET => data_uri($profile, 'status'));
}


sub consent {
    my ($profile, %bound) = @_;
    return $sim->act(do => 'consent', profile => $profile, %bound)->{code};
}


# The tokens of a new consent.
sub tokens_of {
    my ($profile) = @_;
    return redeem(consent($profile))->json;
}


sub report { return $sim->act(do => 'report') }


# What was refused since, {reason => n}.
sub refused {
    my $refused = report()->{refused};
    return { map { $_ => $refused->{$_} }
            grep { $refused->{$_} } keys %$refused };
}


# The three parts of a token as text.
sub parts {
    my ($token) = @_;
    return map { b64_decode(tr{-_}{+/}r) } split /\./, $token;
}


sub payload { return (parts($_[0]))[1] }


sub is_refused {
    my ($r, $status, $error, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply [ $r->status, $r->json->{error} ], [ $status, $error ],
        $name;
}


sub start_anew {
    $sim->behave->clear->act(do => 'forget');
    return;
}


subtest 'a token of the application' => sub {
    start_anew();
    my $r = login();
    is $r->status, 200, 'given';
    is_deeply [ keys %{ $r->json } ], ['accessToken'], 'nothing beside it';

    my $token = $r->json->{accessToken};
    like $token, qr/^[\w-]+\.[\w-]+\.[\w-]{342}$/, 'base64url, not padded';
    my ($head, $payload) = parts($token);
    is $head, '{"kid":"default","typ":"JWT","alg":"RS256"}', 'RS256';
    like $payload, qr{^\{"sub":"http://auth/app/\d+","iss":"gopay\.com",
        "scopes":\["[^"]+"\],"exp":\d+,"jti":"-?\d+"\}$}x, 'what it says';
    my ($exp) = $payload =~ /"exp":(\d+)/;
    cmp_ok abs($exp - time - 3600), '<', 20, 'an hour';
    isnt login()->json->{accessToken}, $token, 'another one each time';

    for ([ 'none', undef ], [ 'wrong secret', basic($id, 'no') ],
        [ 'wrong client', basic('no', $secret) ], [ 'no pair', basic($id) ],
        [ 'no Basic', "Bearer $id:$secret" ])
    {
        my ($name, $value) = @$_;
        $r = call(GET => '/v1/auth/login/app',
            headers => [ defined $value ? [ Authorization => $value ] : () ]);
        is_deeply [ $r->status, $r->body ], [ 401, '' ], $name;
        like $r->header('WWW-Authenticate'), qr/^Basic/, 'with a challenge';
    }
    is call(GET => '/v1/auth/login/app',
        headers => [ ([ Authorization => basic($id, $secret) ]) x 2 ])->status,
        401, 'twice';
    is call(POST => '/v1/auth/login/app')->status, 404, 'GET alone';

    is_deeply report()->{counts}{application}, { ok => 2, wrong_client => 6 },
        'counted';
    is @{ $sim->requests }, 9, 'and recorded';
};


subtest 'what a token says of its end' => sub {
    my %exp = (
        own        => qr/"exp":\d{10},/,
        fractional => qr/"exp":\d{10}\.5,/,
        0          => qr/"exp":0,/,
        '1e300'    => qr/"exp":1e300,/,
        -1         => qr/"exp":-1,/,
        '"soon"'   => qr/"exp":"soon",/,
        null       => qr/"exp":null,/,
    );
    for my $how (sort keys %exp) {
        $sim->act(exp => "$how");
        like payload(login()->json->{accessToken}), $exp{$how}, $how;
    }
    $sim->act(exp => '-1');
    my $token = tokens_of(1)->{accessToken};
    like payload($token), qr/"exp":-1,/, 'of a consent too';
    is status_call($token, 1)->status, 200, 'whatever it says, it is good';

    $sim->act(exp => 'absent');
    unlike payload(login()->json->{accessToken}), qr/exp/, 'absent';

    my $exp = sub {
        payload(login()->json->{accessToken}) =~ /"exp":(\d+)/;
        return $1 - time;
    };
    $sim->act(exp => 'own', life => 60);
    cmp_ok abs($exp->() - 60), '<', 20, 'a minute';
    $sim->act(life => { application => 120, client => 30 });
    cmp_ok abs($exp->() - 120), '<', 20, 'a life for each kind';

    $sim->act(clock => 5000);
    cmp_ok abs($exp->() - 120), '<', 20, 'by our clock';
    my $settings = $sim->act(clock_in_jwt => 1);
    cmp_ok abs($exp->() - 5120), '<', 20, 'or by its own';
    is $settings->{ahead}, 5000, 'which is ahead';
    cmp_ok abs($settings->{now} - time - 5000), '<', 20, 'by so much';

    $sim->act(clock => -5000, clock_in_jwt => 0,
        life => { application => 3600, client => 3600, bearer => 1800,
            code => 600 });
    eval { $sim->act(life => { refresh => 1 }) };
    like $@, qr/no life of refresh/, 'no such life';
    eval { $sim->act(nothing => 1) };
    like $@, qr/no setting nothing/, 'no such setting';
};


subtest 'a code' => sub {
    start_anew();
    my $code = consent(7);
    my $r    = redeem($code);
    is $r->status, 200, 'is good';
    is $r->header('Cache-Control'), 'no-store', 'and not to be kept';
    is_deeply [ sort keys %{ $r->json } ],
        [qw(accessToken clientProfileId refreshToken)], 'for two tokens';
    like $r->body, qr/"clientProfileId":7\b/, 'of that profile';
    like payload($r->json->{accessToken}),
        qr{"scopes":\["perm[^"]+","http:[^"]+/7"\],"exp":\d+}, 'it names it';
    like payload($r->json->{refreshToken}),
        qr{^\{"sub":"[\da-f-]{36}","iss":"gopay\.com","jti":"-?\d+"\}$},
        'the other one does not end';

    is_refused redeem($code), 400, 'invalid_grant', 'once';
    is status_call($r->json->{accessToken}, 7)->status, 200,
        'the tokens are good still';
    is_refused redeem('no'), 400, 'invalid_grant', 'unknown';

    $code = consent(7);
    $sim->act(clock => 590);
    is redeem($code)->status, 200, 'ten minutes';
    $code = consent(7);
    $sim->act(clock => 600);
    is_refused redeem($code), 400, 'invalid_grant', 'and no longer';

    my $uri = 'https://a.test/cb?x=1&y=2';
    $code = consent(7, redirect_uri => $uri);
    is_refused redeem($code), 400, 'invalid_grant', 'redirect_uri is missing';
    is_refused redeem($code, redirect_uri => "${uri}3"), 400, 'invalid_grant',
        'another';
    is redeem($code, redirect_uri => $uri)->status, 200, 'the same';
    is redeem(consent(7), redirect_uri => $uri)->status, 200,
        'not asked for, not looked at';

    is_refused redeem(consent(7, client_id => 'b')), 400, 'invalid_grant',
        'of another client';
    is_refused redeem(consent(7), client_secret => 'no'), 401,
        'invalid_client', 'wrong secret';
    is_refused redeem(''), 400, 'invalid_request', 'no code';
    is_refused token_call({ grant_type => 'password' }), 400,
        'unsupported_grant_type', 'another grant';
    is_refused post_form('/v1/auth/token', 'code=1&code=2'), 400,
        'invalid_request', 'twice';
    is_refused post_form('/v1/auth/token', '{}', type => 'application/json'),
        400, 'invalid_request', 'no form';
    eval { consent('x') };
    like $@, qr/a profile is a number/, 'no such profile';

    is_deeply report()->{counts}, {
        application => {},
        code        => {
            ok      => 4, used => 1, unknown => 1, expired => 1,
            redirect_uri => 2, other_client => 1, wrong_client => 1,
            malformed    => 1
        },
        refresh => {},
        revoke  => {},
        bearer  => {},
        other   => { unsupported => 1, malformed => 2 },
    }, 'counted';
};


subtest 'rotation' => sub {
    start_anew();
    my $first  = tokens_of(8);
    my $second = refresh($first->{refreshToken})->json;
    is $second->{clientProfileId}, 8, 'the next tokens';
    isnt $second->{$_}, $first->{$_}, "another $_"
        for qw(refreshToken accessToken);
    is status_call($_->{accessToken}, 8)->status, 200, 'good'
        for $first, $second;

    my $other = tokens_of(8);
    my $third = refresh($second->{refreshToken})->json;
    is_deeply [ map { $_->{refreshes} } grep { $_->{profile} == 8 }
            @{ $sim->act(do => 'families') } ], [ 2, 0 ], 'two families';

    is_refused refresh($first->{refreshToken}), 400, 'invalid_grant',
        'a spent one';
    is_refused refresh($third->{refreshToken}), 400, 'invalid_grant',
        'ends the family';
    is status_call($_->{accessToken}, 8)->status, 403, 'with all its tokens'
        for $first, $second, $third;
    is_deeply refused(), { revoked => 3 }, 'revoked';
    is status_call($other->{accessToken}, 8)->status, 200, 'not the other one';

    is_refused refresh('no'), 400, 'invalid_grant', 'unknown';
    is_refused refresh($other->{accessToken}), 400, 'invalid_grant',
        'no refresh token';
    is_refused refresh(''), 400, 'invalid_request', 'none';

    $sim->expect(gopay_client_id => [ $id, 'b' ]);
    is_refused token_call({ grant_type => 'refresh_token', client_id => 'b',
        refresh_token => $other->{refreshToken} }), 400, 'invalid_grant',
        'of another client';
    $sim->expect(gopay_client_id => $id);
    is refresh($other->{refreshToken})->status, 200, 'still good';

    is_deeply report()->{counts}{refresh}, {
        ok => 3, spent => 1, revoked => 1, unknown => 2, malformed => 1,
        other_client => 1,
    }, 'counted';
    my @of = map { $_->{profile} }
        grep { $_->{kind} eq 'refresh' } @{ report()->{requests} };
    is_deeply \@of, [ (8) x 4, undef, 8, undef, 8, 8 ], 'and whose it was';
};


subtest 'the end of tokens' => sub {
    start_anew();
    my $app    = login()->json->{accessToken};
    my $one    = tokens_of(11);
    my $two    = tokens_of(12);
    my $status = sub {
        return [ map { status_call($_->{accessToken},
                    $_->{clientProfileId})->status } $one, $two ];
    };

    $sim->act(clock => 3590);
    is_deeply $status->(), [ 200, 200 ], 'an hour';
    $sim->act(clock => 11);
    is_deeply $status->(), [ 403, 403 ], 'and no longer';
    is_deeply refused(), { expired => 2 }, 'expired';
    is resource($app, GET => data_uri(11, 'pdf'))->status, 403,
        'of the application too';
    ($one, $two) = map { refresh($_->{refreshToken})->json } $one, $two;
    is_deeply $status->(), [ 200, 200 ], 'refreshed';

    is_deeply $sim->act(do => 'expire', kind => 'client', profile => 11),
        { expired => 1 }, 'of one profile';
    is_deeply $status->(), [ 403, 200 ], 'its token';
    $sim->act(do => 'expire', kind => 'refresh', profile => 11);
    is_refused refresh($one->{refreshToken}), 400, 'invalid_grant',
        'a refresh token';
    $sim->act(do => 'expire', kind => 'client');
    is_deeply $status->(), [ 403, 403 ], 'of everybody';

    $two = refresh($two->{refreshToken})->json;
    is_deeply $sim->act(do => 'revoke_family', profile => 12),
        { revoked => 1 }, 'revoked';
    is_deeply $status->(), [ 403, 403 ], 'the token';
    is_refused refresh($two->{refreshToken}), 400, 'invalid_grant',
        'and the refresh token';
    is_deeply report()->{counts}{refresh},
        { ok => 3, expired => 1, revoked => 1 }, 'counted';

    eval { $sim->act(do => 'expire', kind => 'none') };
    like $@, qr/no kind none/, 'no such kind';
    eval { $sim->act(do => 'nothing') };
    like $@, qr/nothing known of nothing/, 'no such verb';
};


subtest 'revocation' => sub {
    start_anew();
    my $old = tokens_of(13);
    my $new = refresh($old->{refreshToken})->json;

    my @calls = (
        [ 401, token => $new->{refreshToken}, client_secret => 'no' ],
        [ 401, token => $new->{refreshToken}, client_id => 'no' ],
        [ 409 ], [ 409, token => '' ], [ 404, token => 'no' ],
        [ 404, token => $old->{refreshToken} ],
        [ 404, token => $new->{accessToken} ],
    );
    for (@calls) {
        my ($status, @form) = @$_;
        my $r = revoke(@form);
        is_deeply [ $r->status, $r->body ], [ $status, '' ], "a $status";
    }
    is status_call($new->{accessToken}, 13)->status, 200, 'good still';

    is revoke(token => $new->{refreshToken})->status, 200, 'revoked';
    is status_call($new->{accessToken}, 13)->status, 403, 'no more';
    is revoke(token => $new->{refreshToken})->status, 404, 'once';
    is_deeply report()->{counts}{revoke},
        { ok => 1, wrong_client => 2, no_token => 2, unknown => 4 }, 'counted';
};


subtest 'resources' => sub {
    start_anew();
    my $app  = login()->json->{accessToken};
    my $mine = tokens_of(21)->{accessToken};
    my $his  = tokens_of(22);
    my $r    = status_call($mine, 21);

    is $r->status, 200, 'status';
    is $r->json->{clientProfileId}, 21, 'of that profile';
    is $r->json->{state}, 'IDENTIFIED', 'its state';

    for ($mine, $app) {
        $r = resource($_, GET => data_uri(21, 'pdf?onDate=2018-12-31'));
        is_deeply [ $r->status, $r->header('Content-Type') ],
            [ 200, 'application/pdf' ], 'PDF';
        like $r->body, qr/^%PDF-.*profile 21 on 2018-12-31\n/s, 'its content';
    }
    is resource($mine, GET => data_uri(21, 'pdf?onDate=today'))->status, 409,
        'no date';

    my $prefill = sub {
        my ($token, $body) = @_;
        return resource($token, POST => '/v1/client/prefill-client-data',
            body => $body, headers => [ [ 'Content-Type', 'application/json' ] ]
        );
    };
    $r = $prefill->($app, '{"firstName":"J"}');
    is $r->status, 200, 'prefill';
    isnt $prefill->($app, '{}')->json->{prefillId}, $r->json->{prefillId},
        'another each time';
    is $prefill->($app, '[]')->status, 409, 'no object';
    is_deeply [ report()->{accepted}, refused() ], [ 7, {} ],
        'none was refused';
    is resource($app, GET => '/v1/client/none')->status, 404, 'no such call';

    my $gone = tokens_of(23);
    revoke(token => $gone->{refreshToken});
    my %why = (
        missing    => sub { call(GET => data_uri(21, 'status')) },
        several    => sub {
            resource($mine, GET => data_uri(21, 'status'),
                headers => [ [ Authorization => "Bearer $mine" ] ]);
        },
        malformed     => sub { status_call("Client $mine", 21) },
        unknown       => sub { status_call('a.b.c', 21) },
        revoked       => sub { status_call($gone->{accessToken}, 23) },
        other_profile => sub { status_call($mine, 22) },
        wrong_kind    => sub { status_call($app, 21) },
        no_consent    => sub { resource($app, GET => data_uri(23, 'pdf')) },
    );
    for my $reason (sort keys %why) {
        start_anew();
        is $why{$reason}->()->status, 403, $reason;
        is_deeply refused(), { $reason => 1 }, 'and nothing else';
    }

    start_anew();
    is resource($mine, GET => data_uri('2%32', 'status'))->status, 403,
        'a path in another spelling';
    my $refusal = report()->{refusals}[0];
    is_deeply [ @$refusal{qw(reason target profile)} ],
        [ 'other_profile', data_uri('2%32', 'status'), 21 ], 'all about it';
    is report()->{refused}{expired}, 0, 'what has not been is 0';

    start_anew();
    is $prefill->($mine, '{}')->status, 403, 'prefill for a client';
    is status_call($his->{refreshToken}, 22)->status, 403, 'a refresh token';
    is resource($mine, GET => '/api/payments')->status, 403, 'payments';
    is_deeply refused(), { wrong_kind => 3 }, 'of a wrong kind';
};


subtest 'shapes of refusals' => sub {
    my %shape = (
        oauth => sub { $_[0]->json->{error} },
        v3    => sub { lc $_[0]->json->{errors}[0]{error_name} },
        v4    => sub { lc $_[0]->json->{error} },
    );
    my $v3 = status_call('no', 1);
    is_deeply [ $v3->status, $shape{v3}->($v3) ], [ 403, 'invalid_token' ],
        'a resource';

    for my $shape (sort keys %shape) {
        $sim->act(refuse => { resource => { status => 401, shape => $shape } });
        my $r = status_call('no', 1);
        is_deeply [ $r->status, $shape{$shape}->($r) ],
            [ 401, 'invalid_token' ], $shape;
        like $r->header('WWW-Authenticate'), qr/^Bearer/, 'with a challenge';
    }
    my $rest = $sim->act(refuse => {
        resource => { status => 403, shape => 'v3' },
        grant    => { status => 403, shape => 'empty' },
        client   => { status => 400 },
        login    => { status => 403, shape => 'html' },
    })->{refuse};
    is_deeply $rest->{client}, { status => 400, shape => 'oauth' },
        'the shape is as it was';

    my $r = refresh('no');
    is_deeply [ $r->status, $r->body ], [ 403, '' ], 'a grant';
    is_refused refresh('no', headers => []), 403, undef, 'the same';
    is_refused redeem('no', client_id => 'no'), 400, 'invalid_client',
        'a client';
    $r = login(basic('no'));
    is_deeply [ $r->status, $r->header('Content-Type') ],
        [ 403, 'text/html' ], 'a login';

    $sim->act(refuse => {
        grant  => { status => 400, shape => 'oauth' },
        client => { status => 401, shape => 'oauth' },
        login  => { status => 401, shape => 'empty' },
    });
    eval { $sim->act(refuse => { grant => { shape => 'none' } }) };
    like $@, qr/no shape none/, 'no such shape';
    eval { $sim->act(refuse => { none => {} }) };
    like $@, qr/no refusal of none/, 'no such refusal';
};


subtest 'client credentials' => sub {
    start_anew();
    my %grant = (grant_type => 'client_credentials', scope => 'payment-all');
    my @basic = ([ Authorization => basic($id, $secret) ]);
    my %form  = (%grant, client_id => $id, client_secret => $secret);

    my $r = bearer_call(\%grant, @basic);
    is $r->status, 200, 'in the header';
    my $told = $r->json;
    is_deeply [ sort keys %$told ],
        [qw(access_token expires_in refresh_token token_type)], 'members';
    is_deeply [ @$told{qw(token_type expires_in)} ], [ 'bearer', 1800 ],
        'half an hour';
    my $token = bearer_call(\%form)->json->{access_token};
    isnt $token, $told->{access_token}, 'in the form: another one';

    $r = resource($token, POST => '/api/payments/payment', body => 'x');
    is $r->status, 200, 'a payment';
    is $r->json->{target}, '/api/payments/payment', 'as it was asked for';
    is resource($told->{refresh_token}, GET => '/api/x')->status, 403,
        'not with the refresh token';
    is status_call($token, 1)->status, 403, 'nor of the other service';
    $sim->act(clock => 1801);
    is resource($token, GET => '/api/x')->status, 403, 'expired';
    is_deeply refused(), { wrong_kind => 2, expired => 1 }, 'counted';

    is_refused bearer_call(\%grant), 401, 'invalid_client', 'no client';
    is_refused bearer_call({ %form, client_secret => 'no' }), 401,
        'invalid_client', 'a wrong one';
    is_refused bearer_call(\%form, @basic), 400, 'invalid_request', 'two';
    is_refused bearer_call({ %form, scope => 'payment-all all' }), 400,
        'invalid_scope', 'a wrong scope';
    is bearer_call({ %form, scope => 'payment:read card:read' })->status, 200,
        'two scopes';
    is_refused bearer_call({ %form, grant_type => 'refresh_token' }), 400,
        'unsupported_grant_type', 'another grant';
    is_refused bearer_call({ scope => 'payment-all' }, @basic), 400,
        'invalid_request', 'no grant';
    is_deeply report()->{counts}{bearer}, {
        ok => 3, wrong_client => 2, malformed => 2, scope => 1,
        unsupported => 1,
    }, 'counted';

    my %told = (absent => '"bearer","access_token":"[^"]+","refresh',
        '"1800"' => '"expires_in":"1800"', '1e300' => '"expires_in":1e300');
    for my $how (sort keys %told) {
        $sim->act(expires_in => $how);
        like bearer_call(\%form)->body, qr/$told{$how}/, "$how";
    }
    $sim->act(expires_in => 'own', life => { bearer => 5 });
    is bearer_call(\%form)->json->{expires_in}, 5, 'another life';
    $sim->act(life => { bearer => 1800 });

    $sim->expect(gopay_client_secret => 'a:b %c');
    is bearer_call(\%grant, [ Authorization => basic($id, 'a:b %c') ])->status,
        200, 'as it is';
    $sim->act(basic_encoded => 1);
    is bearer_call(\%grant, [ Authorization => basic($id, 'a%3Ab+%25c') ])
        ->status, 200, 'encoded';
    $sim->act(basic_encoded => 0);
    $sim->expect(gopay_client_secret => $secret);
};


subtest 'another client secret' => sub {
    my $new    = $secret =~ tr/0-9a-f/1-9a-f0/r;
    my $tokens = tokens_of(31);

    $sim->act(do => 'rotate_secret', client_secret => $new);
    is login()->status, 401, 'the old one';
    is login(basic($id, $new))->status, 200, 'the new one';
    is_refused refresh($tokens->{refreshToken}), 401, 'invalid_client',
        'everywhere';

    $sim->act(do => 'rotate_secret', client_secret => [ $new, $secret ]);
    is login()->status, 200, 'both for a time';
    is refresh($tokens->{refreshToken})->status, 200,
        'the tokens are as they were';
    $sim->act(do => 'rotate_secret', client_secret => $secret);
};


subtest 'answers that are lost' => sub {
    my %lost = (
        reset         => [ qr/^0 reset/,   reset    => 'before_header' ],
        closed        => [ qr/^0 closed/,  close    => 'no_answer' ],
        garbage       => [ qr/^0 no HTTP/, raw      => "no HTTP\r\n\r\n" ],
        'half of it'  => [ qr/^200 reset/, reset    => 'mid_body' ],
        'another one' => [ qr/^502 /,      status   => 502, body => '' ],
        'too late'    => [ qr/^0 timeout/, delay_ms => 60_000 ],
        'for ever'    => [ qr/^0 timeout/, hold     => 1 ],
    );
    for my $name (sort keys %lost) {
        my ($how, %rule) = @{ $lost{$name} };
        start_anew();
        my $tokens = tokens_of(41);
        $sim->misbehave(match => '^/v1/auth/token', acted => 1, %rule);

        my $r = refresh($tokens->{refreshToken},
            timeout => $how =~ /timeout/ ? 0.3 : 10);
        like $r->status . ' ' . ($r->error // ''), $how, $name;
        ok wait_until(20, sub { report()->{counts}{refresh}{ok} }),
            'the provider has acted';
        is_refused refresh($tokens->{refreshToken}), 400, 'invalid_grant',
            'the token is spent';
        is status_call($tokens->{accessToken}, 41)->status, 403,
            'and that was the end of the family';
    }

    start_anew();
    my $tokens = tokens_of(42);
    $sim->misbehave(match => '^/v1/auth/token', reset => 'before_header');
    is refresh($tokens->{refreshToken})->error, 'reset', 'not acted';
    is_deeply report()->{counts}{refresh}, { not_acted => 1 }, 'counted so';
    is refresh($tokens->{refreshToken})->status, 200, 'the token is good';

    my $code = consent(42);
    $sim->misbehave(acted => 1, close => 'no_answer');
    is redeem($code)->error, 'closed', 'a code';
    is_refused redeem($code), 400, 'invalid_grant', 'is spent too';

    $tokens = tokens_of(43);
    $sim->misbehave(acted => 1, close => 'no_answer');
    revoke(token => $tokens->{refreshToken});
    is revoke(token => $tokens->{refreshToken})->status, 404, 'so is a family';

    eval { $sim->misbehave(acted => 1, early => 1) };
    like $@, qr/half a request/, 'not before the request is whole';
};


subtest 'at once' => sub {
    my @of = map { tokens_of($_) } 51 .. 53;
    start_anew();

    my $begin = time;
    $sim->misbehave(times => -1, match => '^/v1/auth/', hold => 1);
    my @sockets = map { refresh($_->{refreshToken}, no_read => 1) } @of;
    push @sockets, call(GET => '/v1/auth/login/app', no_read => 1);

    ok wait_until(20, sub { report()->{under_way}{all} == 4 }), 'under way';
    is_deeply [ grep {defined} map { $_->{ended} } @{ report()->{requests} } ],
        [], 'none has ended';
    is call(GET => '/v1/client/none')->status, 404, 'not of tokens';

    close pop @sockets;
    ok wait_until(20, sub { report()->{under_way}{all} == 3 }), 'one went away';
    $sim->release->behave;
    is $t->read_response($_, 'POST')->status, 200, 'an answer' for @sockets;
    my $report = report();
    is $report->{under_way}{all}, 0, 'none is left';
    is_deeply [ @{ $report->{most} }{'all', 'refresh', 'application', 'code',
            'profile 51'} ], [ 4, 3, 1, 0, 1 ], 'the most at once';

    my @times = map { [ @$_{qw(began ended)} ] } @{ $report->{requests} };
    is_deeply [ grep { $_->[0] < $begin || $_->[1] < $_->[0]
                || $_->[1] > time } @times ], [], 'each has its time';

    start_anew();
    my $tokens = tokens_of(54);
    $sim->misbehave(times => -1, status => 503, delay_ms => 60_000,
        match => '^/v1/auth/token');
    @sockets = map { refresh($tokens->{refreshToken}, no_read => 1) } 1 .. 2;
    ok wait_until(20, sub { report()->{most}{'profile 54'} == 2 }),
        'two of one profile';
    $sim->act(do => 'forget');
    is report()->{most}{all}, 2, 'they are still there';
    is_deeply report()->{requests}, [], 'all else is forgotten';
    close $_ for @sockets;
    ok wait_until(20, sub { report()->{under_way}{'profile 54'} == 0 }),
        'and gone';
};


subtest 'what was given' => sub {
    start_anew();
    my $tokens = tokens_of(61);
    my $next   = refresh($tokens->{refreshToken})->json;
    $sim->act(do => 'expire', kind => 'client', profile => 61);
    my $last = refresh($next->{refreshToken})->json;

    my ($family) = grep { $_->{profile} == 61 }
        @{ $sim->act(do => 'families') };
    is_deeply $family, { profile => 61, refreshes => 2,
        refresh => $last->{refreshToken}, access => [ $last->{accessToken} ] },
        'what is good';

    my %issued = map { $_->{token} => "$_->{kind} " . ($_->{profile} // '') }
        @{ $sim->act(do => 'issued') };
    for ($tokens, $next, $last) {
        is $issued{ $_->{accessToken} },  'client 61',  'an access token';
        is $issued{ $_->{refreshToken} }, 'refresh 61', 'a refresh token';
    }
    is $issued{ login()->json->{accessToken} }, undef, 'not yet';

    is scalar(grep { $_->{target} eq '/v1/auth/token' } @{ $sim->requests }),
        3, 'requests of tokens are recorded';
    is_deeply [ $sim->header($sim->last_request, 'Authorization') ],
        [ basic($id, $secret) ], 'with all that they had';
    like $sim->requests->[1]{body}, qr/refresh_token=\Q$tokens->{refreshToken}/,
        'and the body';
};


subtest 'a limit' => sub {
    start_anew();
    $sim->limit(rate => 1);
    is_deeply [ map { login()->status } 1 .. 2 ], [ 200, 429 ], 'one too many';
    is_deeply report()->{counts}{application}, { ok => 1, not_acted => 1 },
        'that did not act';
    $sim->limit;
};


subtest 'with TLS' => sub {
    my $tls = $t->sim('gopay', name => 'tls');
    my $r   = $t->http(
        GET => '/v1/auth/login/app',
        port    => $tls->port,
        headers => [ [ Authorization => basic($id, $secret) ] ],
        ssl     => { SSL_ca_file => $t->ca, SSL_verifycn_scheme => 'none' },
    );
    is $r->status, 200, 'the same';
    is $tls->handshakes, 1, 'by TLS';
    $tls->misbehave(acted => 1, reset => 'before_header');
    $t->http(GET => '/v1/auth/login/app', socket => $r->socket);
    is $tls->act(do => 'report')->{under_way}{all}, 0, 'what is lost has ended';
};


done_testing;
