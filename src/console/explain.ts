/** Why a run did not succeed, in plain words, and what can be done. */
import { say } from './say.ts';
import type { Run } from './wire.ts';

export interface Explanation {
  readonly what: string;
  readonly todo: string;
  /** What the server said; null where it said nothing. */
  readonly words: string | null;
}

/** Null for a run with which nothing is wrong. */
export function explain(run: Run): Explanation | null {
  const { last_error, incomplete_details, status } = run;
  if (last_error !== null) {
    const { code, message } = last_error;
    return { ...failure(code, message), words: `${code}: ${message}` };
  }
  if (incomplete_details !== null)
    return { ...shortfall(incomplete_details.reason), words: incomplete_details.reason };
  return status === 'expired' ? { ...expiry(), words: null } : null;
}

type Advice = Pick<Explanation, 'what' | 'todo'>;

function failure(code: string, message: string): Advice {
  if (code === 'context_length_exceeded' || (code === 'invalid_prompt' && isAboutLength(message)))
    return tooLong();
  switch (code) {
    case 'rate_limit_exceeded':
      return {
        what: say('The model server wants no more requests for now.', '模型服务器暂时不再接受请求（限流）。'),
        todo: say(
          'Wait a little, then run it again. If it happens often, raise the limit there or add a second model server.',
          '请稍候再运行。如经常发生，请在模型服务器处提高限额，或再配置一个模型服务器。',
        ),
      };
    case 'invalid_prompt':
      return {
        what: say('The model server refused the request.', '模型服务器拒绝了该请求。'),
        todo: say(
          "Its words below say what it does not take: usually a setting of the assistant, a tool's schema, or a picture. Change that, then run it again.",
          '下面的原话说明它不接受什么：通常是助手的某项设置、工具的参数结构或图片。修改后再运行。',
        ),
      };
    default:
      return serverFailure(message);
  }
}

const isAboutLength = (message: string): boolean =>
  /context (?:length|window|size)|too long|too many tokens|maximum .{0,40}tokens/i.test(message);

function tooLong(): Advice {
  return {
    what: say('The conversation is longer than this model can read.', '对话长度超过了模型的上下文上限。'),
    todo: say(
      'Start a new thread, let the run leave out old messages (truncation_strategy), or choose a model with a larger context.',
      '请新建会话、让运行省略较早的消息（truncation_strategy），或改用上下文更大的模型。',
    ),
  };
}

/** Told apart by the status of the model server, which the words of ours name in brackets. */
function serverFailure(message: string): Advice {
  if (/\((?:401|403)\)/.test(message))
    return {
      what: say('The model server does not accept the key.', '模型服务器不接受该密钥。'),
      todo: say(
        'The operator must correct the key of this model server (OPENAI_API_KEY, or apiKey in the configuration). Then run it again.',
        '请运维人员更正该模型服务器的密钥（OPENAI_API_KEY，或配置文件中的 apiKey），然后再运行。',
      ),
    };
  if (message.includes('(404)'))
    return {
      what: say('The model server does not know this model.', '模型服务器没有这个模型。'),
      todo: say(
        'Choose another model for the assistant, or have the operator add an alias.',
        '请为助手选择其他模型，或请运维人员添加别名。',
      ),
    };
  if (message.includes('cannot be reached'))
    return {
      what: say('The model server cannot be reached.', '无法连接模型服务器。'),
      todo: say(
        'Check that it runs and that its address is right (OPENAI_BASE_URL). Then run it again.',
        '请检查它是否在运行、地址是否正确（OPENAI_BASE_URL），然后再运行。',
      ),
    };
  return {
    what: say('Something failed on the way to an answer.', '生成回答的过程中出错。'),
    todo: say(
      "Run it again: such failures often pass. If it stays, the server's log has more under this run's id.",
      '请再运行一次，这类错误常常是暂时的。如仍出错，可在服务器日志中按运行 ID 查找详情。',
    ),
  };
}

function shortfall(reason: string): Advice {
  switch (reason) {
    case 'max_completion_tokens':
      return {
        what: say('The answer ends early: it reached the limit of tokens.', '回答提前结束：已达到令牌上限。'),
        todo: say(
          'Allow more with max_completion_tokens, or ask for a shorter answer.',
          '请调大 max_completion_tokens，或要求更短的回答。',
        ),
      };
    case 'max_prompt_tokens':
      return {
        what: say(
          'The run ended early: what it had to read exceeds its limit of tokens.',
          '运行提前结束：输入超过了令牌上限。',
        ),
        todo: say(
          'Allow more with max_prompt_tokens, or start a new thread.',
          '请调大 max_prompt_tokens，或新建会话。',
        ),
      };
    case 'content_filter':
      return {
        what: say(
          "The model server's content filter cut the answer off.",
          '回答被模型服务器的内容过滤器截断。',
        ),
        todo: say(
          'Say it in other words, or ask its operator about the filter.',
          '请换一种说法，或向其运营方了解过滤规则。',
        ),
      };
    default:
      return {
        what: say('The answer is not complete.', '回答不完整。'),
        todo: say('Run it again.', '请再运行一次。'),
      };
  }
}

function expiry(): Advice {
  return {
    what: say('The time of the run was over before it had ended.', '运行在结束前超时。'),
    todo: say(
      'If it waited for outputs of tools, the client did not send them in time. Otherwise the model or a tool was slow: run it again, or allow more time with metadata expires_after_s.',
      '如果它在等待工具输出，说明客户端没有及时提交；否则是模型或工具太慢：请再运行一次，或用元数据 expires_after_s 延长时限。',
    ),
  };
}
