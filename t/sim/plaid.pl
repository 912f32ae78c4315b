#!/usr/bin/env perl

# Plaid identity verification: POST /identity_verification/create, get, list,
# retry. /item/get stands for every other product that the same key opens.
# Wrong keys are a 400 here, as at Plaid, never a 401.
# act: {"id", "status"}

use Mojo::Base -strict, -signatures;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Idpay::Sim;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(b64_decode b64_encode sha1_sum);

# The vendor's page size is not documented; a small one is soon full.
use constant PAGE => 2;

my (%verifications, @order, $calls);


# Every answer has its own.
sub request_id () {
    return substr b64_encode(sha1_sum('request ' . ++$calls), ''), 0, 15;
}


sub ok ($data) {
    return { json => { %$data, request_id => request_id() } };
}


sub problem ($status, $type, $code, $message) {
    return {
        status => $status,
        json   => {
            error_type      => $type,
            error_code      => $code,
            error_message   => $message,
            display_message => undef,
            request_id      => request_id(),
        },
    };
}


sub invalid ($code, $message, $type = 'INVALID_REQUEST') {
    return problem(400, $type, $code, $message);
}


sub new_verification ($in, $previous = undef) {
    my $id  = 'idv_' . substr sha1_sum('verification ' . @order), 0, 14;
    my $key = sha1_sum("key of $id");

    $verifications{$id} = {
        id                  => $id,
        client_user_id      => $in->{client_user_id},
        created_at          => '2020-07-24T03:26:02Z',
        completed_at        => undef,
        previous_attempt_id => $previous,
        shareable_url       => $in->{is_shareable}
        ? "https://flow.plaid.com/verify/$id?key=$key"
        : undef,
        template => { id => $in->{template_id}, version => 2 },
        user     => $in->{user} // {
            email_address => 'user@example.com',
            name => { given_name => 'Leslie', family_name => 'Knope' },
        },
        status => 'active',
        steps  => {
            accept_tos               => 'active',
            verify_sms               => 'waiting_for_prerequisite',
            kyc_check                => 'waiting_for_prerequisite',
            documentary_verification => 'waiting_for_prerequisite',
            selfie_check             => 'waiting_for_prerequisite',
            watchlist_screening      => 'waiting_for_prerequisite',
            risk_check               => 'waiting_for_prerequisite',
        },
        (   map { $_ => undef }
                qw(documentary_verification selfie_check kyc_check risk_check
                watchlist_screening_id redacted_at)
        ),
    };
    push @order, $id;
    return $verifications{$id};
}


# Of one user and template, the newest first.
sub attempts ($in) {
    return grep {
        $_->{client_user_id} eq $in->{client_user_id}
            && $_->{template}{id} eq $in->{template_id}
    } map { $verifications{$_} } reverse @order;
}


sub list ($in) {
    my $offset = 0;

    if (defined $in->{cursor}) {
        my $cursor = eval { decode_json(b64_decode($in->{cursor})) };
        return invalid('INVALID_FIELD', 'cursor is not valid')
            if ref $cursor ne 'HASH';
        $offset = $cursor->{offset};
    }

    my @found = attempts($in);
    my $next  = $offset + PAGE;
    my @page  = grep { defined } @found[ $offset .. $next - 1 ];
    my $more  = encode_json({ direction => 'next', offset => "$next" });

    return ok({
        identity_verifications => \@page,
        next_cursor => $next < @found ? b64_encode($more, '') : undef,
    });
}


my %endpoint = (
    '/identity_verification/create' => {
        required => [qw(is_shareable template_id gave_consent client_user_id)],
        run      => sub ($in) {
            my ($found) = attempts($in);

            return ok(new_verification($in)) if !$found;
            return ok($found)                if $in->{is_idempotent};
            return invalid('INVALID_FIELD',
                'an identity verification already exists for this user and '
                    . 'template');
        },
    },
    '/identity_verification/get' => {
        required => [qw(identity_verification_id)],
        run      => sub ($in) {
            my $found = $verifications{ $in->{identity_verification_id} }
                or return invalid('INVALID_FIELD',
                'identity_verification_id is not known');
            return ok($found);
        },
    },
    '/identity_verification/list' => {
        required => [qw(template_id client_user_id)],
        run      => \&list,
    },
    '/identity_verification/retry' => {
        required => [qw(client_user_id template_id strategy)],
        run      => sub ($in) {
            my ($found) = attempts($in)
                or return invalid('INVALID_FIELD', 'nothing to retry');
            return invalid('INVALID_FIELD', 'strategy is not known')
                if $in->{strategy} !~ /^(?:reset|incomplete|infer|custom)$/;

            my %again = (%$in, is_shareable => !!$found->{shareable_url});
            return ok(new_verification(\%again, $found->{id}));
        },
    },
    '/item/get' => {
        required => [],
        run      => sub ($in) {
            return ok({ item => { item_id => 'item_1' } });
        },
    },
);


# In the headers or, as Plaid allows too, in the body.
sub authenticated ($sim, $r, $in) {
    for ([qw(plaid_client_id PLAID-CLIENT-ID client_id)],
        [qw(plaid_secret PLAID-SECRET secret)])
    {
        my ($name, $header, $member) = @$_;
        my @values = $r->header($header);

        @values = $in->{$member} if !@values && defined $in->{$member};
        return 0 if !$sim->accepts($name => @values);
    }
    return 1;
}


sub handle ($sim, $r) {
    my $endpoint = $endpoint{ $r->path };

    return problem(404, 'INVALID_REQUEST', 'NOT_FOUND',
        'the requested endpoint does not exist')
        if !$endpoint || $r->method ne 'POST';

    my @type = $r->header('Content-Type');
    return invalid('INVALID_HEADERS', 'Content-Type must be application/json')
        if @type != 1 || $type[0] !~ m{^application/json\s*(?:;|$)}i;

    my $in = $r->json;
    return invalid('INVALID_BODY', 'body could not be parsed as JSON')
        if ref $in ne 'HASH';

    return invalid('INVALID_API_KEYS', 'invalid client_id or secret provided',
        'INVALID_INPUT')
        if !authenticated($sim, $r, $in);

    my @missing = grep { !defined $in->{$_} } @{ $endpoint->{required} };
    return invalid('MISSING_FIELDS',
        'the following required fields are missing: ' . join ', ', @missing)
        if @missing;

    return $endpoint->{run}->($in);
}


sub act ($sim, $what) {
    my $found = $verifications{ $what->{id} } or die "nothing of $what->{id}\n";

    $found->{status}       = $what->{status};
    $found->{completed_at} = '2020-07-24T03:26:02Z'
        if $what->{status} =~ /^(?:success|failed|expired|canceled)$/;
    return $found;
}


Idpay::Sim->run(
    handler => \&handle,
    act     => \&act,
);
