#!/usr/bin/env perl

# GoPay: the tokens of its identification service, which rotate, a few calls
# that need them, and the tokens of its payments API.
#
#   GET  /v1/auth/login/app   Basic; a token of the application
#   POST /v1/auth/token       authorization_code, refresh_token
#   POST /v1/auth/revoke
#   GET  /v1/client/client-profile/N/identification-status
#   GET  /v1/client/client-profile/N/identification-pdf
#   POST /v1/client/prefill-client-data
#   POST /oauth2/token        client_credentials
#   ANY  /api/...             with a bearer of those
#
# A refresh token is good once. When it comes again all tokens of that consent
# are revoked.
#
# act: settings, which answer with all that is set, {"now", ...}
#   clock           moves the provider's clock by so many seconds
#   clock_in_jwt    1: exp is a time of that clock (0)
#   life            seconds, or {kind: seconds}; kinds: application, client,
#                   bearer, code
#   exp             of an access token: "own" (the truth), "absent",
#                   "fractional", or any JSON text: "0", "1e300", "\"soon\""
#   expires_in      of a bearer, the same
#   basic_encoded   1: in the Basic of /oauth2/token the client ID and secret
#                   are percent-encoded, as RFC 6749 has it (0)
#   refuse          {what: {"status", "shape"}}; what: login (401, empty),
#                   client (401, oauth), grant (400, oauth), resource (403,
#                   v3); shape: oauth, v3, v4, html, empty
# act: verbs
#   do: consent        profile, redirect_uri, client_id; {"code"} as the
#                      browser gets it. The latter two are optional, and bind
#   do: expire         kind, profile; kind also refresh; without a profile: of
#                      everybody. {"expired"}: how many
#   do: revoke_family  profile; {"revoked"}: how many
#   do: rotate_secret  client_secret, or a list of those that are right
#   do: families       [{"profile", "refresh", "access", "refreshes"}, ...]
#                      that live; tokens that are good
#   do: issued         [{"kind", "profile", "token"}, ...] ever, codes too
#   do: report         see below
#   do: forget         begins the report anew
#
# The report:
#   requests   [{"kind", "result", "profile", "began", "ended"}, ...] of
#              tokens; kind: application, code, refresh, revoke, bearer, other;
#              result: ok, not_acted (a rule or a limit has answered), or why
#              not: wrong_client, malformed, unsupported, unknown, spent, used,
#              expired, revoked, other_client, redirect_uri, no_token, scope;
#              ended is null as long as the answer has not been given
#   counts     {kind: {result: n}}
#   under_way  {what: n} that have not ended; what: all, a kind, "profile N"
#   most       {what: n} that were under way at once
#   accepted   resource calls
#   refused    {reason: n} resource calls: missing, several, malformed,
#              unknown, expired, revoked, wrong_kind, other_profile, no_consent
#   refusals   [{"reason", "target", "profile", "time"}, ...]; profile: of the
#              token

use Mojo::Base -strict, -signatures;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Idpay::Sim;
use Idpay::Sim::Tokens;
use Mojo::Parameters;
use Mojo::Util qw(b64_decode scope_guard sha1_sum url_unescape);
use Time::HiRes ();

my @kinds   = qw(application code refresh revoke bearer other);
my @reasons = qw(missing several malformed unknown expired revoked wrong_kind
    other_profile no_consent);
my %scopes = map { $_ => 1 } qw(payment-all payment-create payment:write
    payment:read card:write card:read shared:read);

my $tokens  = Idpay::Sim::Tokens->new;
my %setting = (
    basic_encoded => 0,
    refuse        => {
        login    => { status => 401, shape => 'empty' },
        client   => { status => 401, shape => 'oauth' },
        grant    => { status => 400, shape => 'oauth' },
        resource => { status => 403, shape => 'v3' },
    },
);
my ($report, $prefills);


sub forget () {

    # what is under way goes on
    my $under_way = $report->{under_way} // {};

    $report = {
        requests  => [],
        counts    => { map { $_ => {} } @kinds },
        under_way => $under_way,
        most      => { all => 0, (map { $_ => 0 } @kinds), %$under_way },
        accepted  => 0,
        refused   => { map { $_ => 0 } @reasons },
        refusals  => [],
    };
    return {};
}


# Errors.


# Payments v3, and the only shape of a validation error.
sub v3 ($status, $name, $text) {
    return {
        status => $status,
        json   => {
            date_issued => '2019-10-19T15:12:34.174+0200',
            errors      => [ {
                scope      => 'G',
                error_code => $status + 0,
                error_name => uc $name,
                message    => $text,
            } ],
        },
    };
}


my %shape = (
    v3    => \&v3,
    oauth => sub ($status, $name, $text) {
        return {
            status => $status,
            json   => { error => $name, error_description => $text },
        };
    },
    v4 => sub ($status, $name, $text) {
        return {
            status => $status,
            json   => {
                code      => $status + 0,
                error     => uc $name,
                message   => $text,
                detail    => $text,
                path      => '/',
                timestamp => '2025-12-10T10:30:00Z',
            },
        };
    },
    html => sub ($status, $name, $text) {
        return {
            status  => $status,
            headers => [ [ 'Content-Type', 'text/html' ] ],
            body    => "<html><body>$text</body></html>\n",
        };
    },
    empty => sub ($status, $name, $text) { return bare($status) },
);


sub bare ($status) { return { status => $status, body => '' } }


sub challenged ($answer, $challenge) {
    push @{ $answer->{headers} }, [ 'WWW-Authenticate', $challenge ]
        if $answer->{status} == 401;
    return $answer;
}


sub refusal ($what, $name, $text) {
    my $how = $setting{refuse}{$what};
    return $shape{ $how->{shape} }->($how->{status}, $name, $text);
}


sub not_found () { return v3(404, 'NOT_FOUND', 'Service does not exist.') }


# What came.


# A path means what it is decoded to, here as at any server.
sub route ($r) { return $r->method . ' ' . url_unescape($r->path) }


# {NAME: value} of a form; undef where it is none, or a name is there twice.
sub form_of ($r) {
    my @type = $r->header('Content-Type');
    return if @type != 1;
    return
        if $type[0] !~ m{^application/x-www-form-urlencoded\s*(?:;|$)}i;

    my $form = Mojo::Parameters->new($r->body)->to_hash;
    return if grep {ref} values %$form;
    return $form;
}


# (client ID, secret) of Basic credentials, or nothing.
sub basic_of ($r, $encoded = 0) {
    my @values = $r->header('Authorization');
    return if @values != 1 || $values[0] !~ m{^Basic ([A-Za-z0-9+/]+=*)$}i;

    my @pair = split /:/, b64_decode($1), 2;
    return if @pair != 2;
    return $encoded ? map { url_unescape(s/\+/ /gr) } @pair : @pair;
}


sub is_client ($sim, @pair) {
    return 0 if grep { !defined } @pair;
    return @pair == 2
        && $sim->accepts(gopay_client_id => $pair[0])
        && $sim->accepts(gopay_client_secret => $pair[1]);
}


# Requests of tokens. Each answers with (result, answer).


sub granted ($text_or_data) {
    return {
        headers => [
            [ 'Cache-Control', 'no-store' ],
            [ 'Pragma',        'no-cache' ],
            [ 'Content-Type',  'application/json;charset=UTF-8' ],
        ],
        ref $text_or_data
        ? (json => $text_or_data)
        : (body => $text_or_data),
    };
}


sub wrong_client () {
    return (wrong_client => challenged(refusal('client', 'invalid_client',
        'client_id or client_secret is wrong'), 'Basic realm="gopay"'));
}


sub bad_request ($result, $name, $text) {
    return ($result => refusal('grant', $name, $text));
}


sub login ($sim, $r) {
    return (wrong_client => challenged(refusal('login', 'invalid_client',
        'client_id or client_secret is wrong'), 'Basic realm="gopay"'))
        if !is_client($sim, basic_of($r));

    return (ok => granted({ accessToken => $tokens->application }));
}


my %grant = (
    authorization_code => sub ($form) {
        return $tokens->redeem($form->{code} // '',
            client       => $form->{client_id},
            redirect_uri => $form->{redirect_uri});
    },
    refresh_token => sub ($form) {
        return $tokens->refresh($form->{refresh_token} // '',
            $form->{client_id});
    },
);


sub token ($sim, $r) {
    my $form = form_of($r)
        or return bad_request(malformed => 'invalid_request', 'no such form');
    return wrong_client()
        if !is_client($sim, @$form{qw(client_id client_secret)});

    my $type  = $form->{grant_type} // '';
    my $grant = $grant{$type} or return bad_request(
        unsupported => 'unsupported_grant_type', 'grant_type is not known');
    my $what  = $type eq 'refresh_token' ? $type : 'code';

    return bad_request(malformed => 'invalid_request', "$what is missing")
        if !length($form->{$what} // '');

    my ($result, $given) = $grant->($form);
    return (ok => granted($given)) if $given;
    return bad_request($result => 'invalid_grant', "$what is not valid");
}


sub revoke ($sim, $r) {
    my $form = form_of($r) // {};

    return (wrong_client => bare(401))
        if !is_client($sim, @$form{qw(client_id client_secret)});
    return (no_token => bare(409)) if !length($form->{token} // '');

    my $result = $tokens->revoke($form->{token});
    return ($result => bare($result eq 'ok' ? 200 : 404));
}


sub bearer ($sim, $r) {
    my $form = form_of($r)
        or return bad_request(malformed => 'invalid_request', 'no such form');

    my $in_form = defined $form->{client_secret};
    return bad_request(malformed => 'invalid_request', 'two credentials')
        if $in_form && $r->header('Authorization');
    return wrong_client() if !is_client($sim,
        $in_form
        ? @$form{qw(client_id client_secret)}
        : basic_of($r, $setting{basic_encoded}));

    my $type = $form->{grant_type}
        // return bad_request(malformed => 'invalid_request', 'no grant_type');
    return bad_request(unsupported => 'unsupported_grant_type',
        'grant_type is not known')
        if $type ne 'client_credentials';
    return bad_request(scope => 'invalid_scope', 'scope is not known')
        if grep { !$scopes{$_} } split / /, $form->{scope} // '';

    return (ok => granted($tokens->bearer));
}


my %token_request = (
    'GET /v1/auth/login/app' => \&login,
    'POST /v1/auth/token'    => \&token,
    'POST /v1/auth/revoke'   => \&revoke,
    'POST /oauth2/token'     => \&bearer,
);


# (kind, the code or token that it is about)
sub kind_of ($r) {
    my $route = route($r);

    return 'application' if $route eq 'GET /v1/auth/login/app';
    return 'bearer'      if $route eq 'POST /oauth2/token';

    my $form = form_of($r) // {};
    my $type = $form->{grant_type} // '';
    return (revoke  => $form->{token}) if $route eq 'POST /v1/auth/revoke';
    return (code    => $form->{code})  if $type eq 'authorization_code';
    return (refresh => $form->{refresh_token}) if $type eq 'refresh_token';
    return 'other';
}


# Before anybody answers: a rule may, and the provider never hears of it.
sub begin ($sim, $r) {
    return if !$token_request{ route($r) };

    my ($kind, $string) = kind_of($r);
    my $profile = $tokens->profile_of($string // '');
    my @counted = ('all', $kind, defined $profile ? "profile $profile" : ());
    my $entry   = $r->{of_tokens} = {
        kind    => $kind,
        result  => 'not_acted',
        profile => defined $profile ? $profile + 0 : undef,
        began   => $r->time,
        ended   => undef,
    };
    my ($under_way, $most) = @$report{qw(under_way most)};

    push @{ $report->{requests} }, $entry;
    for (@counted) {
        my $now = ++$under_way->{$_};
        $most->{$_} = $now if $now > ($most->{$_} // 0);
    }
    return scope_guard(sub {
        $under_way->{$_}-- for @counted;
        $entry->{ended} = Time::HiRes::time();
    });
}


# Resources.


# (the token's entry, undef), or (what is known of it, why it is refused)
sub bearer_of ($r) {
    my @values = $r->header('Authorization');

    return (undef, @values ? 'several' : 'missing') if @values != 1;
    return (undef, 'malformed') if $values[0] !~ /^Bearer ([\w.~+\/-]+=*)$/i;

    my ($result, $entry) = $tokens->judge($1);
    return ($entry, $result eq 'ok' ? undef : $result);
}


# Why a call of a profile's data may not be made with that token.
sub why_not ($entry, $profile) {
    return $tokens->live($profile) ? undef : 'no_consent'
        if $entry->{kind} eq 'application';
    return 'wrong_kind'    if $entry->{kind} ne 'client';
    return 'other_profile' if $entry->{profile} != $profile;
    return;
}


sub forbidden ($r, $reason, $entry) {
    $report->{refused}{$reason}++;
    push @{ $report->{refusals} }, {
        reason  => $reason,
        target  => $r->target,
        profile => $entry && $entry->{profile},
        time    => $r->time,
    };
    my $answer = refusal('resource', 'invalid_token', 'Not-authorized access');
    return challenged($answer, 'Bearer realm="gopay"');
}


sub status_of ($r, $profile) {
    return {
        json => {
            clientProfileId => $profile + 0,
            state           => 'IDENTIFIED',
            reasons         => [],
            dateStarted     => '2018-07-19 10:00:02.423',
            dateLastChange  => '2018-07-22 10:00:02.423',
            subjectType     => 'PERSON',
        },
    };
}


sub pdf_of ($r, $profile) {
    my @dates = $r->arg('onDate');

    return v3(409, 'INVALID', 'Wrong value.')
        if @dates > 1 || grep { !/^\d{4}-\d\d-\d\d$/ } @dates;
    my $date = $dates[0] // 'now';
    return {
        headers => [ [ 'Content-Type', 'application/pdf' ] ],
        body    => "%PDF-1.4\n% profile $profile on $date\n%%EOF\n",
    };
}


sub prefill ($r) {
    my @type = $r->header('Content-Type');

    return v3(409, 'INVALID', 'Wrong value.')
        if @type != 1
        || $type[0] !~ m{^application/json\s*(?:;|$)}i
        || ref $r->json ne 'HASH';
    return { json => { prefillId => sha1_sum('prefill ' . ++$prefills) } };
}


sub payment ($r) {
    my %record = %{ $r->record };
    my @shown  = qw(method target body_length body_sha256);
    return { json => { map { $_ => $record{$_} } @shown } };
}


my $data = qr{/v1/client/client-profile/([1-9]\d*)/identification};

# [what is called, who may, what is done]
my @resources = (
    [   qr{^GET $data-status$},
        sub ($entry, $profile) {
            return 'wrong_kind' if $entry->{kind} ne 'client';
            return why_not($entry, $profile);
        },
        \&status_of,
    ],
    [ qr{^GET $data-pdf$}, \&why_not, \&pdf_of ],
    [   qr{^POST /v1/client/prefill-client-data$},
        sub ($entry) {
            return $entry->{kind} eq 'application' ? undef : 'wrong_kind';
        },
        \&prefill,
    ],
    [   qr{^[A-Z]+ /api/\S+$},
        sub ($entry) {
            return $entry->{kind} eq 'bearer' ? undef : 'wrong_kind';
        },
        \&payment,
    ],
);


sub resource ($r) {
    my $route = route($r);

    for (@resources) {
        my ($what, $who, $run) = @$_;
        $route =~ $what or next;
        my @of = $1 // ();

        my ($entry, $reason) = bearer_of($r);
        $reason //= $who->($entry, @of);
        return forbidden($r, $reason, $entry) if $reason;

        $report->{accepted}++;
        return $run->($r, @of);
    }
    return not_found();
}


sub handle ($sim, $r) {
    my $of_tokens = $token_request{ route($r) } or return resource($r);
    my ($result, $answer) = $of_tokens->($sim, $r);

    $r->{of_tokens}{result} = $result;
    return $answer;
}


# What people and time do.


sub change_life ($new) {
    my $life = $tokens->life;
    my %new  = ref $new ? %$new : map { $_ => $new } qw(application client
        bearer code);

    exists $life->{$_} or die "no life of $_\n" for keys %new;
    $tokens->life({ %$life, %new });
    return;
}


sub change_refuse ($new) {
    for my $what (keys %$new) {
        my $how = $setting{refuse}{$what} or die "no refusal of $what\n";
        my %how = (%$how, %{ $new->{$what} });

        die "no shape $how{shape}\n" if !$shape{ $how{shape} };
        $setting{refuse}{$what} = \%how;
    }
    return;
}


my %change = (
    clock         => sub ($by) { $tokens->ahead($tokens->ahead + $by) },
    life          => \&change_life,
    exp           => sub ($how) { $tokens->exp($how) },
    expires_in    => sub ($how) { $tokens->expires_in($how) },
    clock_in_jwt  => sub ($on) { $tokens->clock_in_jwt($on) },
    basic_encoded => sub ($on) { $setting{basic_encoded} = $on },
    refuse        => \&change_refuse,
);


sub change ($what) {
    for (sort keys %$what) {
        my $change = $change{$_} or die "no setting $_\n";
        $change->($what->{$_});
    }
    return {
        %setting,
        map { $_ => $tokens->$_ }
            qw(now ahead life exp expires_in clock_in_jwt)
    };
}


sub count_results () {
    my %counts = map { $_ => {} } @kinds;

    $counts{ $_->{kind} }{ $_->{result} }++ for @{ $report->{requests} };
    return \%counts;
}


sub profile_in ($what) {
    my $profile = $what->{profile} // '';
    die "a profile is a number from 1\n" if $profile !~ /^[1-9]\d*$/;
    return $profile;
}


my %verb = (
    consent => sub ($sim, $what) {
        my $client = $what->{client_id} // $sim->expect->{gopay_client_id};
        $client = $client->[0] if ref $client;

        return {
            code => $tokens->code(profile_in($what),
                client       => $client,
                redirect_uri => $what->{redirect_uri})
        };
    },
    expire => sub ($sim, $what) {
        my $kind = $what->{kind} // '';
        die "no kind $kind\n"
            if $kind !~ /^(?:application|client|refresh|code|bearer)$/;
        return {
            expired => $tokens->expire($kind,
                defined $what->{profile} ? profile_in($what) : undef)
        };
    },
    revoke_family => sub ($sim, $what) {
        my @families = $tokens->live(profile_in($what));
        return { revoked => $tokens->end(@families) };
    },
    rotate_secret => sub ($sim, $what) {
        my $secret = $what->{client_secret} // die "no client_secret\n";
        $sim->expect({ %{ $sim->expect }, gopay_client_secret => $secret });
        return {};
    },
    families => sub ($sim, $what) { return $tokens->families },
    issued   => sub ($sim, $what) { return $tokens->issued },
    report   => sub ($sim, $what) {
        return { %$report, counts => count_results() };
    },
    forget => sub ($sim, $what) { return forget() },
);


sub act ($sim, $what) {
    my %what = %$what;
    my $do   = delete $what{do} // return change($what);
    my $verb = $verb{$do} or die "nothing known of $do\n";

    return $verb->($sim, \%what);
}


forget();

Idpay::Sim->run(
    handler => \&handle,
    act     => \&act,
    begin   => \&begin,
);
